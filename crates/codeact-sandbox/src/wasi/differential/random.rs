//! Random sequences of operations, run on both implementations.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::wasi::differential::ops::{Handle, Op, mkdir};
use crate::wasi::differential::side::Pair;
use crate::wasi::preview1::{fdflags, lookupflags, oflags, rights};

const FOLLOW: u32 = lookupflags::SYMLINK_FOLLOW;
const READ: u64 = rights::FD_READ;
const WRITE: u64 = rights::FD_WRITE;
const BOTH: u64 = READ | WRITE;
const ROOT: Handle = Handle::Root;

/// Number of random sequences.
const CASES: u32 = 200;
/// Seed of the random sequences.
const SEED: [u8; 32] = *b"codeact differential preview 1 !";
/// Depth of the nested folders in which random sequences start. No path or link has enough `..` to leave them.
const NESTED_FOLDERS: usize = 40;

/// Returns the nested folders, with a `/` at the end.
fn nested() -> String {
    format!("tmp/{}", "n/".repeat(NESTED_FOLDERS))
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        12 => prop::sample::select(vec!["a", "b", "c"]),
        1 => prop::sample::select(vec![".", "..", ""]),
    ];
    let slash = prop_oneof![12 => Just(""), 1 => Just("/")];
    let depth = prop_oneof![4 => Just(1usize), 3 => Just(2), 1 => Just(3)];
    let names = depth.prop_flat_map(move |n| prop::collection::vec(name.clone(), n));
    (names, slash).prop_map(|(names, slash)| nested() + &names.join("/") + slash)
}

fn handle() -> impl Strategy<Value = Handle> {
    prop_oneof![
        20 => (0..4usize).prop_map(Handle::Opened),
        1 => prop::sample::select(vec![Handle::Stdin, Handle::Stdout, Handle::Invalid, ROOT]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let lookup = || prop::sample::select(vec![0, FOLLOW]);
    let target = prop::sample::select(vec!["a", "b", "a/b", "../a", "./c", "c/"]);
    let offset = || prop_oneof![0..300u64, 65_000..66_000u64];
    let count = || prop_oneof![0..300u32, 65_000..66_000u32];
    let flags = prop::sample::select(vec![
        0,
        0,
        oflags::CREAT,
        oflags::CREAT,
        oflags::CREAT | oflags::EXCL,
        oflags::CREAT | oflags::TRUNC,
        oflags::TRUNC,
        oflags::DIRECTORY,
    ]);
    let rights = prop::sample::select(vec![READ, WRITE, BOTH, BOTH]);
    let fdflags = prop_oneof![6 => Just(0), 1 => Just(fdflags::APPEND)];
    let open = (path(), lookup(), flags, rights, fdflags).prop_map(
        |(path, lookup, oflags, rights, fdflags)| Op::Open {
            dir: ROOT,
            path,
            lookup,
            oflags,
            // wasmtime-wasi makes a descriptor writable that creates or truncates a file.
            rights: match oflags & (oflags::CREAT | oflags::TRUNC) {
                0 => rights,
                _ => rights | WRITE,
            },
            fdflags,
        },
    );
    let on_paths = prop_oneof![
        8 => open,
        4 => path().prop_map(|p| Op::Mkdir(ROOT, p)),
        2 => path().prop_map(|p| Op::Rmdir(ROOT, p)),
        2 => path().prop_map(|p| Op::Unlink(ROOT, p)),
        4 => (path(), path()).prop_map(|(from, to)| Op::Rename(ROOT, from, to)),
        2 => (path(), path()).prop_map(|(from, to)| Op::Link(ROOT, 0, from, to)),
        2 => (target, path()).prop_map(|(t, p)| Op::Symlink(t.into(), ROOT, p)),
        1 => (path(), 1..20u32).prop_map(|(p, n)| Op::Readlink(ROOT, p, n)),
        2 => (lookup(), path()).prop_map(|(l, p)| Op::PathStat(ROOT, l, p)),
        1 => (lookup(), path(), 0..16u32).prop_map(|(l, p, f)| Op::PathSetTimes(ROOT, l, p, f)),
    ];
    let on_handles = prop_oneof![
        1 => handle().prop_map(Op::Close),
        2 => (handle(), count()).prop_map(|(h, n)| Op::Read(h, n)),
        2 => (handle(), count(), offset()).prop_map(|(h, n, at)| Op::Pread(h, n, at)),
        4 => (handle(), count(), any::<u8>()).prop_map(|(h, n, b)| Op::Write(h, n, b)),
        3 => (handle(), count(), any::<u8>(), offset()).prop_map(|(h, n, b, at)| Op::Pwrite(h, n, b, at)),
        2 => (handle(), -200..70_000i64, 0..4u32).prop_map(|(h, by, w)| Op::Seek(h, by, w)),
        1 => handle().prop_map(Op::Tell),
        2 => (handle(), offset()).prop_map(|(h, n)| Op::SetSize(h, n)),
        1 => handle().prop_map(Op::FdStat),
        1 => handle().prop_map(Op::FileStat),
        1 => (handle(), 0..2u32).prop_map(|(h, f)| Op::SetFlags(h, f)),
        1 => (handle(), 0..16u32).prop_map(|(h, f)| Op::SetTimes(h, f)),
        1 => (handle(), 300..600u32).prop_map(|(h, n)| Op::List(h, n)),
        1 => prop_oneof![
            handle().prop_map(Op::Sync),
            handle().prop_map(Op::Datasync),
            handle().prop_map(Op::Advise),
        ],
    ];
    prop_oneof![3 => on_paths, 2 => on_handles]
}

#[test]
fn random_sequences_are_the_same() {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let folders: Vec<Op> = (1..=NESTED_FOLDERS)
        .map(|n| mkdir(&format!("tmp/{}", vec!["n"; n].join("/"))))
        .collect();
    let sequences = prop::collection::vec(op(), 1..40);
    let completed = Cell::new(0);
    let result = runner.run(&sequences, |ops| {
        let mut pair = Pair::new();
        prop_assert_eq!(pair.run_all(&folders), (Vec::new(), true));
        let (failures, is_complete) = pair.run_all(&ops);
        prop_assert!(failures.is_empty(), "{}", failures.join("\n"));
        completed.set(completed.get() + u32::from(is_complete));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // A permitted difference ends a sequence early. If most ended early, the test would compare little.
    assert!(
        completed.get() > CASES / 2,
        "{} of {CASES}",
        completed.get()
    );
}
