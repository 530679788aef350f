//! Runs the bodies of the fuzz targets on their seeds and on random mutations of them, without libFuzzer.
//!
//! The mutations are the same in each run, as many as fit into a few seconds. An input that fails is written to a file, whose
//! path is in the message of the failed test.

#![allow(clippy::unwrap_used, reason = "a panic is how a test helper fails")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../fuzz/src/lib.rs"]
mod fuzz_bodies;
#[allow(dead_code, reason = "the integration tests use all of it")]
#[path = "integration/support.rs"]
mod support;

/// Number of mutated inputs of a target.
const MUTATIONS: usize = 300;
/// Time for the mutations of a target. On a slow machine there are fewer than [`MUTATIONS`].
const TIME: Duration = Duration::from_secs(5);
/// Maximum size of a mutated input, in bytes.
const MAX_BYTES: usize = 4096;

/// Runs `body` on all seeds and on mutations, and checks that the sandbox works afterwards.
fn smoke(target: &str, body: fn(&[u8])) {
    support::ready();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let seeds: Vec<_> = paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    // The unchanged valid file comes first.
    run(target, body, b"");
    for seed in &seeds {
        run(target, body, seed);
    }
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let begun = Instant::now();
    let mut count = 0;
    while count < MUTATIONS && begun.elapsed() < TIME {
        run(target, body, &random.mutated(&seeds));
        count += 1;
    }
    println!("{target}: {} seeds, {count} mutations", seeds.len());
    fuzz_bodies::assert_works();
}

fn run(target: &str, body: fn(&[u8]), data: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(data))) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-failure-{target}"));
        std::fs::write(&path, data).unwrap();
        eprintln!("the input of the failure is in {}", path.display());
        std::panic::resume_unwind(panic);
    }
}

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `count`.
    fn below(&mut self, count: usize) -> usize {
        (self.next() >> 16) as usize % count.max(1)
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        (0..self.below(max + 1))
            .map(|_| self.next() as u8)
            .collect()
    }

    /// Returns random bytes, or a seed with up to eight random changes.
    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if self.below(4) == 0 {
            return self.bytes(64);
        }
        let mut data = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            let at = self.below(data.len() + 1);
            let end = (at + self.below(16)).min(data.len());
            match self.below(5) {
                0 => data.splice(at..at, self.bytes(8)).for_each(drop),
                1 => data.drain(at..end).for_each(drop),
                2 => data[at..end]
                    .iter_mut()
                    .for_each(|byte| *byte = self.next() as u8),
                3 => data.extend_from_within(at..end),
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(64)).min(other.len());
                    data.splice(at..at, other[from..to].iter().copied())
                        .for_each(drop);
                }
            }
        }
        data.truncate(MAX_BYTES);
        data
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                smoke(stringify!($name), fuzz_bodies::$name);
            }
        )*
    };
}

targets!(
    host_calls,
    recording,
    reply,
    rewriter,
    session_archive,
    snapshot,
    suspended_turn,
);
