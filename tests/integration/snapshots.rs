//! Snapshots as files: restored state, and files that are rejected.

use std::path::Path;

use codeact::Sandbox;
use codeact::sandbox::{Outcome, Session, SessionOptions, Snapshot};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::support::{sandbox, sandbox_with};

async fn run(session: &mut Session, code: &str) -> String {
    let execution = session.run(code).await.unwrap();
    assert_eq!(execution.outcome, Outcome::Completed, "{execution:?}");
    execution.result.unwrap_or_default()
}

const BEGIN: &str = "
import os, random, numpy as np
big = np.arange(500_000, dtype='i8')
os.makedirs('d/e'); os.symlink('d/e', 'link')
open('d/e/f', 'w').write('kept'); os.link('d/e/f', 'd/g')
holes = open('holes', 'w+b'); holes.seek(5_000_000); holes.write(b'end'); holes.flush()
gone = open('gone', 'w+'); gone.write('no name'); gone.flush(); os.remove('gone'); gone.seek(3)
numbers = iter(range(9)); next(numbers)
random.seed(5)
None";

const LOOK: &str = "(int(big.sum()), next(numbers), gone.read(), os.stat('d/g').st_nlink, \
    os.readlink('link'), sorted(os.listdir()), os.path.getsize('holes'), random.random(), \
    os.urandom(2).hex())";

async fn saved(dir: &Path) -> (Session, std::path::PathBuf) {
    let mut session = sandbox()
        .session_with(&SessionOptions::new().seed(3))
        .unwrap();
    run(&mut session, BEGIN).await;
    let path = dir.join("s.snapshot");
    session.checkpoint().unwrap().save(&path).unwrap();
    (session, path)
}

#[tokio::test]
async fn a_session_continues_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let (mut session, path) = saved(dir.path()).await;
    // A separate sandbox, as in another process.
    let other = Sandbox::new().await.unwrap();
    let snapshot = Snapshot::load(&other, &path).unwrap();
    assert_eq!(snapshot.turns(), 1);
    let mut back = snapshot.session();
    let look = run(&mut back, LOOK).await;
    assert_eq!(look, run(&mut session, LOOK).await);
    assert!(
        look.starts_with("(124999750000, 1, 'name', 2, 'd/e', ['d', 'holes', 'link'], 5000003,"),
        "{look}"
    );
    run(
        &mut back,
        "open('d/e/f', 'a').write('!'); holes.seek(0); holes.write(b'x'); holes.close()",
    )
    .await;
    assert_eq!(run(&mut back, "open('d/g').read()").await, "'kept!'");
}

#[tokio::test]
async fn an_invalid_snapshot_is_rejected_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (_, path) = saved(dir.path()).await;
    let good = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        let path = dir.path().join("bad");
        std::fs::write(&path, bytes).unwrap();
        Snapshot::load(&sandbox(), &path).unwrap_err().to_string()
    };
    for at in [20, 100, good.len() / 2, good.len() - 40, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let why = refused(&bad);
        assert!(why.contains("checksum"), "bit {at}: {why}");
    }
    for len in [0, 10, 52, good.len() / 2, good.len() - 1] {
        let why = refused(&good[..len]);
        assert!(
            why.contains("not a snapshot") || why.contains("checksum"),
            "{len}: {why}"
        );
    }
    let mut newer = good.clone();
    newer[MAGIC.len()] = 9;
    assert!(refused(&newer).contains("format 9"), "{}", refused(&newer));
    let edited = |fields: &[(&[u8], &[u8])]| {
        refused(&rebuilt(&good, |body| {
            for (field, value) in fields {
                let at = body.windows(field.len()).position(|w| w == *field);
                let at = at.unwrap() + field.len();
                body[at..at + value.len()].copy_from_slice(value);
            }
        }))
    };
    let (pack, image, version) = (b"\"pack\":\"", b"\"image\":\"", b"\"codeact\":\"");
    let why = edited(&[(pack, b"zzzz"), (image, b"yyyy")]);
    assert!(why.contains("its pack is zzzz"), "{why}");
    let why = edited(&[(image, b"yyyy"), (version, b"9")]);
    assert!(
        why.contains("by another version: its version of codeact is 9."),
        "{why}"
    );
    assert!(why.contains("its base image is yyyy"), "{why}");
    assert!(why.contains("the pack is the same"), "{why}");
    let why = edited(&[(image, b"yyyy")]);
    assert!(why.contains("its base image is yyyy"), "{why}");
    assert!(why.contains("are the same: one of the two"), "{why}");
    // The same base image is enough.
    let path = dir.path().join("newer");
    let newer = rebuilt(&good, |body| {
        let at = body.windows(version.len()).position(|w| w == version);
        body[at.unwrap() + version.len()] = b'9';
    });
    std::fs::write(&path, newer).unwrap();
    Snapshot::load(&sandbox(), &path).unwrap();
    let why = edited(&[(pack, b"zzzz")]);
    assert!(why.contains("another build of Python"), "{why}");
}

#[tokio::test]
async fn a_snapshot_that_exceeds_the_limits_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let (_, path) = saved(dir.path()).await;
    let small = sandbox_with(|limits| limits.file_bytes = 1 << 20);
    let why = Snapshot::load(&small, &path).unwrap_err().to_string();
    assert!(why.contains("more bytes in files"), "{why}");
    let few = sandbox_with(|limits| limits.files = 3);
    let why = Snapshot::load(&few, &path).unwrap_err().to_string();
    assert!(why.contains("more files"), "{why}");
    let tight = sandbox_with(|limits| limits.memory = 85 << 20);
    let why = Snapshot::load(&tight, &path).unwrap_err().to_string();
    assert!(why.contains("of memory"), "{why}");
}

/// Start of the file: a name and the version.
const MAGIC: &[u8] = b"CODEACT SNAPSHOT";

/// Splits a snapshot into the bytes before the body and the body, without the checksum at the end.
fn split(good: &[u8]) -> (&[u8], Vec<u8>) {
    let (signed, _checksum) = good.split_at(good.len() - <Sha256 as Digest>::output_size());
    let (begin, body) = signed.split_at(MAGIC.len() + size_of::<u32>());
    (begin, zstd::decode_all(body).unwrap())
}

/// Returns the snapshot with a changed body and a valid checksum, as an attacker would make it.
fn rebuilt(good: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (begin, mut body) = split(good);
    change(&mut body);
    let mut bytes = begin.to_vec();
    bytes.extend(zstd::encode_all(&body[..], 1).unwrap());
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

#[test]
fn a_manipulated_snapshot_is_rejected_or_runs_in_the_sandbox() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (_, path) = runtime.block_on(saved(dir.path()));
    let good = std::fs::read(&path).unwrap();
    let (_, body) = split(&good);
    let head = u64::from_le_bytes(body[..8].try_into().unwrap()) as usize;
    let sandbox = sandbox_with(|limits| limits.wall = std::time::Duration::from_secs(1));
    let places = prop_oneof![0..8 + head, 8 + head..body.len()];
    let change = (places, any::<u8>(), 0..3usize, any::<u64>());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(150));
    runner
        .run(&prop::collection::vec(change, 1..4), |changes| {
            let bad = rebuilt(&good, |body| {
                for (at, byte, kind, number) in changes {
                    let at = at.min(body.len() - 1);
                    match kind {
                        0 => body[at] = byte,
                        1 => body.truncate(at),
                        // Replaces a number in the head.
                        _ => {
                            let end = body.len().min(8 + head);
                            let digits = (at.min(end)..end).find(|i| body[*i].is_ascii_digit());
                            if let Some(at) = digits {
                                let text = (number >> (number % 60)).to_string();
                                body.splice(at..at + 1, text.bytes());
                                let len =
                                    (body.len() as u64).min(head as u64 + text.len() as u64 - 1);
                                body[..8].copy_from_slice(&len.to_le_bytes());
                            }
                        }
                    }
                    if body.is_empty() {
                        body.push(0);
                    }
                }
            });
            let path = dir.path().join("strange");
            std::fs::write(&path, &bad).unwrap();
            if let Ok(snapshot) = Snapshot::load(&sandbox, &path) {
                // Every outcome and every error is allowed. The test checks that nothing panics.
                let mut session = snapshot.session();
                let _ = runtime.block_on(session.run("import os; os.listdir('.'); 1"));
                let _ = session.changes();
                let _ = session
                    .checkpoint()
                    .map(|s| s.save(dir.path().join("again")));
            }
            Ok(())
        })
        .unwrap();
    // The host and the sandbox still work.
    let mut session = sandbox.session().unwrap();
    assert_eq!(runtime.block_on(run(&mut session, "6 * 7")), "42");
}
