//! Fixed sequences of operations, run on both implementations.

use crate::wasi::differential::differences::DIFFERENCES;
use crate::wasi::differential::ops::{Handle, Op, create, mkdir, open, symlink};
use crate::wasi::differential::side::Pair;
use crate::wasi::preview1::{fdflags, fstflags, lookupflags, oflags, rights, whence};

const FOLLOW: u32 = lookupflags::SYMLINK_FOLLOW;
const READ: u64 = rights::FD_READ;
const WRITE: u64 = rights::FD_WRITE;
const BOTH: u64 = READ | WRITE;
const FIRST: Handle = Handle::Opened(0);
const SECOND: Handle = Handle::Opened(1);
const ROOT: Handle = Handle::Root;

fn append(path: &str) -> Op {
    Op::Open {
        dir: ROOT,
        path: path.into(),
        lookup: FOLLOW,
        oflags: oflags::CREAT,
        rights: BOTH,
        fdflags: fdflags::APPEND,
    }
}

fn stat(path: &str) -> Op {
    Op::PathStat(ROOT, 0, path.into())
}

fn rename(from: &str, to: &str) -> Op {
    Op::Rename(ROOT, from.into(), to.into())
}

fn check(program: &str, ops: &[Op]) {
    let (failures, completed) = Pair::new().run_all(ops);
    assert!(failures.is_empty(), "{program}:\n{}", failures.join("\n"));
    assert!(
        completed,
        "{program}: a permitted difference ended the program early"
    );
}

#[test]
fn reads_writes_and_seeks_are_the_same() {
    check(
        "read and write",
        &[
            create("tmp/a"),
            Op::Write(FIRST, 70_000, 7),
            Op::Tell(FIRST),
            Op::Read(FIRST, 10),
            Op::Seek(FIRST, 0, whence::SET),
            Op::Read(FIRST, 100),
            Op::Seek(FIRST, -50, whence::CUR),
            Op::Read(FIRST, 100),
            Op::Seek(FIRST, 1000, whence::END),
            Op::Write(FIRST, 10, 9),
            Op::Seek(FIRST, -1, whence::SET),
            Op::Seek(FIRST, -1_000_000, whence::CUR),
            Op::Seek(FIRST, 0, 3),
            Op::Pread(FIRST, 2000, 69_500),
            Op::Pread(FIRST, 10, 1 << 40),
            Op::Pread(FIRST, 10, u64::MAX),
            Op::Pwrite(FIRST, 10, 3, u64::MAX),
            Op::Pwrite(FIRST, 100, 3, 65_500),
            Op::Tell(FIRST),
            Op::Read(FIRST, 0),
            Op::Write(FIRST, 0, 0),
            Op::FileStat(FIRST),
            Op::FdStat(FIRST),
            Op::Advise(FIRST),
            Op::Sync(FIRST),
            Op::Datasync(FIRST),
            Op::Close(FIRST),
            Op::Close(FIRST),
            Op::Read(Handle::Invalid, 1),
            Op::Tell(Handle::Invalid),
            Op::FdStat(Handle::Invalid),
        ],
    );
    check(
        "append",
        &[
            append("tmp/a"),
            Op::Write(FIRST, 10, 1),
            Op::Seek(FIRST, 3, whence::SET),
            Op::Write(FIRST, 10, 2),
            Op::Tell(FIRST),
            Op::FdStat(FIRST),
            Op::SetFlags(FIRST, 0),
            Op::FdStat(FIRST),
            Op::Seek(FIRST, 3, whence::SET),
            Op::Write(FIRST, 2, 3),
            Op::SetFlags(FIRST, fdflags::APPEND),
            Op::Write(FIRST, 2, 4),
            Op::Pwrite(FIRST, 3, 5, 1),
            Op::Tell(FIRST),
            Op::FileStat(FIRST),
        ],
    );
}

#[test]
fn access_modes_are_the_same() {
    check(
        "access modes",
        &[
            create("tmp/a"),
            Op::Write(FIRST, 10, 1),
            open("tmp/a", 0, READ),
            Op::Write(SECOND, 1, 1),
            Op::Pwrite(SECOND, 1, 1, 0),
            Op::Read(SECOND, 5),
            Op::SetSize(SECOND, 3),
            open("tmp/a", 0, WRITE),
            Op::Read(Handle::Opened(2), 1),
            Op::Pread(Handle::Opened(2), 1, 0),
            Op::Write(Handle::Opened(2), 2, 9),
            open("tmp/a", oflags::TRUNC, WRITE),
            Op::Read(SECOND, 10),
            Op::FileStat(SECOND),
        ],
    );
}

#[test]
fn lengths_and_times_are_set_in_the_same_way() {
    check(
        "truncate",
        &[
            create("tmp/a"),
            Op::Write(FIRST, 100, 1),
            Op::SetSize(FIRST, 10),
            Op::Tell(FIRST),
            Op::Read(FIRST, 10),
            Op::SetSize(FIRST, 70_000),
            Op::Pread(FIRST, 70_000, 0),
            Op::Write(FIRST, 5, 2),
            Op::FileStat(FIRST),
            Op::SetSize(Handle::Stdout, 1),
            Op::SetSize(Handle::Invalid, 1),
            Op::SetSize(FIRST, u64::MAX),
            Op::SetTimes(FIRST, fstflags::ATIM | fstflags::MTIM),
            Op::SetTimes(FIRST, fstflags::ATIM_NOW | fstflags::MTIM_NOW),
            Op::SetTimes(FIRST, fstflags::ATIM | fstflags::ATIM_NOW),
            Op::SetTimes(FIRST, fstflags::MTIM | fstflags::MTIM_NOW),
            Op::PathSetTimes(ROOT, 0, "tmp/a".into(), fstflags::MTIM),
            Op::PathSetTimes(ROOT, 0, "tmp/b".into(), fstflags::MTIM),
        ],
    );
}

#[test]
fn folders_and_names_are_the_same() {
    check(
        "folders",
        &[
            mkdir("tmp/d"),
            mkdir("tmp/d"),
            mkdir("tmp/x/y"),
            create("tmp/d/a"),
            create("tmp/d/b"),
            symlink("a", "tmp/d/l"),
            open("tmp/d", oflags::DIRECTORY, READ),
            Op::List(Handle::Opened(2), 4096),
            Op::List(Handle::Opened(2), 300),
            Op::List(FIRST, 4096),
            open("tmp/d/a", oflags::DIRECTORY, READ),
            open("tmp/d/a/b", 0, READ),
            open("tmp/d", 0, WRITE),
            open("tmp/d", 0, READ),
            Op::FileStat(Handle::Opened(3)),
            Op::FdStat(Handle::Opened(3)),
            Op::Rmdir(ROOT, "tmp/d".into()),
            Op::Rmdir(ROOT, "tmp/d/a".into()),
            Op::Rmdir(ROOT, "tmp/none".into()),
            Op::Unlink(ROOT, "tmp/d".into()),
            Op::Unlink(ROOT, "tmp/none".into()),
            Op::Unlink(ROOT, "tmp/d/l".into()),
            Op::Unlink(ROOT, "tmp/d/a".into()),
            Op::Write(FIRST, 3, 1),
            Op::FileStat(FIRST),
            Op::Pread(FIRST, 10, 0),
        ],
    );
    check(
        "rename",
        &[
            create("tmp/a"),
            Op::Write(FIRST, 3, 1),
            create("tmp/b"),
            mkdir("tmp/d"),
            mkdir("tmp/e"),
            rename("tmp/a", "tmp/c"),
            rename("tmp/a", "tmp/c"),
            rename("tmp/c", "tmp/b"),
            stat("tmp/b"),
            rename("tmp/b", "tmp/d"),
            rename("tmp/d", "tmp/b"),
            rename("tmp/d", "tmp/d/x"),
            rename("tmp/d", "tmp/e"),
            rename("tmp/b", "tmp/e/b"),
            rename("tmp/e", "tmp/e"),
            mkdir("tmp/f"),
            rename("tmp/f", "tmp/e"),
            Op::Read(FIRST, 1),
        ],
    );
}

#[test]
fn links_are_the_same() {
    check(
        "links",
        &[
            create("tmp/a"),
            Op::Write(FIRST, 3, 1),
            Op::Link(ROOT, 0, "tmp/a".into(), "tmp/b".into()),
            Op::Link(ROOT, 0, "tmp/a".into(), "tmp/b".into()),
            Op::Link(ROOT, 0, "tmp/none".into(), "tmp/c".into()),
            Op::Link(ROOT, 0, "tmp".into(), "tmp/c".into()),
            Op::FileStat(FIRST),
            Op::Unlink(ROOT, "tmp/a".into()),
            stat("tmp/b"),
            symlink("b", "tmp/l"),
            symlink("b", "tmp/l"),
            symlink("", "tmp/empty"),
            symlink("none", "tmp/dangling"),
            symlink("loop", "tmp/loop"),
            Op::PathStat(ROOT, FOLLOW, "tmp/l".into()),
            stat("tmp/l"),
            Op::PathStat(ROOT, FOLLOW, "tmp/dangling".into()),
            Op::PathStat(ROOT, FOLLOW, "tmp/loop".into()),
            stat("tmp/loop"),
            Op::Readlink(ROOT, "tmp/l".into(), 100),
            Op::Readlink(ROOT, "tmp/dangling".into(), 3),
            Op::Readlink(ROOT, "tmp/b".into(), 3),
            Op::Readlink(ROOT, "tmp/none".into(), 3),
            open("tmp/l", 0, READ),
            Op::Read(SECOND, 10),
            open("tmp/loop", 0, READ),
            open("tmp/dangling", 0, READ),
            open("tmp/dangling", oflags::CREAT | oflags::EXCL, WRITE),
            Op::Open {
                dir: ROOT,
                path: "tmp/l".into(),
                lookup: 0,
                oflags: 0,
                rights: READ,
                fdflags: 0,
            },
            open("tmp/dangling", oflags::CREAT, WRITE),
            stat("tmp/none"),
            Op::Unlink(ROOT, "tmp/l".into()),
            stat("tmp/b"),
        ],
    );
}

#[test]
fn creation_flags_and_paths_are_the_same() {
    let long = format!("tmp/{}", "n".repeat(256));
    check(
        "paths",
        &[
            open("tmp/none", 0, READ),
            open("tmp/none/a", oflags::CREAT, WRITE),
            open("tmp/a", oflags::CREAT | oflags::EXCL, WRITE),
            open("tmp/a", oflags::CREAT | oflags::EXCL, WRITE),
            open("tmp/a", oflags::CREAT, WRITE),
            open("tmp/a", oflags::CREAT | oflags::TRUNC, WRITE),
            open("", 0, READ),
            open(".", 0, READ),
            open("tmp/.", 0, READ),
            open("tmp/../tmp/a", 0, READ),
            open("tmp/a/", 0, READ),
            open("tmp/a/.", 0, READ),
            open("tmp//a", 0, READ),
            open(&long, oflags::CREAT, WRITE),
            stat(""),
            stat(&long),
            stat("tmp/"),
            stat("tmp/a/"),
            stat("tmp/a\0b"),
            mkdir(""),
            mkdir("."),
            mkdir("tmp/d/"),
            Op::Rmdir(ROOT, "tmp/d".into()),
            Op::Rmdir(ROOT, "".into()),
            Op::Unlink(ROOT, "".into()),
            Op::Unlink(ROOT, "tmp/a/".into()),
        ],
    );
    check(
        "descriptors of the wrong type",
        &[
            create("tmp/a"),
            open("tmp", oflags::DIRECTORY, READ),
            Op::Mkdir(FIRST, "x".into()),
            Op::PathStat(FIRST, 0, "x".into()),
            Op::Open {
                dir: FIRST,
                path: "x".into(),
                lookup: 0,
                oflags: 0,
                rights: READ,
                fdflags: 0,
            },
            Op::Read(SECOND, 1),
            Op::Pread(SECOND, 1, 0),
            Op::Write(SECOND, 1, 0),
            Op::Pwrite(SECOND, 1, 0, 0),
            Op::Seek(SECOND, 0, whence::SET),
            Op::Tell(SECOND),
            Op::SetSize(SECOND, 0),
            Op::SetFlags(SECOND, 0),
            Op::Advise(SECOND),
            Op::Sync(SECOND),
            Op::Datasync(SECOND),
            Op::List(FIRST, 300),
            Op::Mkdir(SECOND, "x".into()),
            Op::PathStat(SECOND, 0, "x".into()),
            Op::Seek(Handle::Stdin, 0, whence::SET),
            Op::Tell(Handle::Stdout),
            Op::Pread(Handle::Stdin, 1, 0),
            Op::Pwrite(Handle::Stdout, 1, 0, 0),
            Op::Write(Handle::Stdin, 1, 0),
            Op::Read(Handle::Stdout, 1),
            Op::Read(Handle::Stdin, 1),
            Op::Write(Handle::Stdout, 5, b'x'),
            Op::FdStat(Handle::Stdin),
            Op::FileStat(Handle::Stdin),
            Op::Sync(Handle::Stdout),
            Op::Mkdir(Handle::Stdin, "x".into()),
        ],
    );
}

#[test]
fn each_listed_difference_occurs() {
    for listed in DIFFERENCES {
        let ops = (listed.example)();
        let (last, before) = ops.split_last().unwrap();
        let mut pair = Pair::new();
        for op in before {
            assert_eq!(
                pair.ours.run(op),
                pair.theirs.run(op),
                "{}: {op:?}",
                listed.reason
            );
        }
        let (ours, theirs) = (pair.ours.run(last), pair.theirs.run(last));
        assert!(
            ours != theirs && (listed.applies)(last, &ours, &theirs),
            "{}: {last:?}: ours {ours:?}, wasmtime-wasi {theirs:?}",
            listed.reason
        );
    }
}
