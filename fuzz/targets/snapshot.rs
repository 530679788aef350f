//! A snapshot from a stranger: whatever is in it, it is refused or runs in the sandbox.
//!
//! A good snapshot is changed in the places that the input names, and its checksum made anew: bytes
//! without a right checksum are refused before anything is read.
//!
//!     cargo +nightly fuzz run snapshot -- -max_len=4096 -timeout=60
//!
//! The pack must be installed (`codeact pack install`).

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use codeact::Sandbox;
use codeact::sandbox::{Limits, Snapshot};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

/// One change to a snapshot's body.
#[derive(Debug, Arbitrary)]
enum Edit {
    /// A byte becomes another.
    Set(u32, u8),
    /// Something comes in between, a number for example.
    Insert(u32, Vec<u8>),
    /// A number in the head becomes another.
    Number(u16, u64),
    Remove(u32, u16),
    Truncate(u32),
}

struct Ground {
    runtime: tokio::runtime::Runtime,
    sandbox: Sandbox,
    /// Magic and version.
    begin: Vec<u8>,
    body: Vec<u8>,
    dir: tempfile::TempDir,
}

static GROUND: LazyLock<Ground> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut limits = Limits::default();
    limits.wall = Duration::from_secs(1);
    let sandbox = runtime
        .block_on(Sandbox::builder().limits(limits).build())
        .expect("an installed pack");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("good");
    let code = "open('a.txt', 'w').write('some text'); f = open('a.txt'); f.read(2); x = [1] * 9";
    let mut session = sandbox.session().expect("a session");
    runtime.block_on(session.run(code)).expect("a turn");
    let snapshot = session.checkpoint().expect("a checkpoint");
    snapshot.save(&path).expect("a snapshot");
    let good = std::fs::read(&path).expect("its bytes");
    let body = zstd::decode_all(&good[20..good.len() - 32]).expect("its body");
    let begin = good[..20].to_vec();
    Ground {
        runtime,
        sandbox,
        begin,
        body,
        dir,
    }
});

impl Edit {
    fn apply(self, body: &mut Vec<u8>) {
        let place = |at: u32, body: &[u8]| at as usize % body.len().max(1);
        let head = |body: &[u8]| {
            let len = body.get(..8).and_then(|len| len.try_into().ok());
            len.map_or(0, u64::from_le_bytes)
        };
        match self {
            Self::Set(at, byte) => {
                let at = place(at, body);
                if let Some(old) = body.get_mut(at) {
                    *old = byte;
                }
            }
            Self::Insert(at, bytes) => {
                let at = place(at, body);
                body.splice(at..at, bytes);
            }
            Self::Number(at, number) => {
                let end = body.len().min(8 + head(body) as usize);
                let begin = 8 + at as usize;
                let digit = (begin..end).find(|at| body[*at].is_ascii_digit());
                if let Some(begin) = digit {
                    let digits = body[begin..end].iter().take_while(|b| b.is_ascii_digit());
                    let digits = digits.count();
                    let text = number.to_string();
                    let len = head(body) + text.len() as u64 - digits as u64;
                    body.splice(begin..begin + digits, text.bytes());
                    body[..8].copy_from_slice(&len.to_le_bytes());
                }
            }
            Self::Remove(at, len) => {
                let at = place(at, body);
                let end = body.len().min(at + len as usize);
                body.drain(at..end);
            }
            Self::Truncate(at) => body.truncate(place(at, body)),
        }
    }
}

fn file(body: &[u8]) -> (PathBuf, Vec<u8>) {
    let mut bytes = GROUND.begin.clone();
    bytes.extend(zstd::encode_all(body, 1).expect("packs"));
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    (GROUND.dir.path().join("strange"), bytes)
}

fuzz_target!(|edits: Vec<Edit>| {
    let ground = &*GROUND;
    let mut body = ground.body.clone();
    for edit in edits.into_iter().take(16) {
        edit.apply(&mut body);
    }
    let (path, bytes) = file(&body);
    std::fs::write(&path, bytes).expect("written");
    if let Ok(snapshot) = Snapshot::load(&ground.sandbox, &path) {
        let mut session = snapshot.session();
        let _ = (ground.runtime).block_on(session.run("import os; os.listdir('.'); f.read(), x"));
        let _ = session.changes();
        if let Ok(snapshot) = session.checkpoint() {
            let _ = snapshot.save(ground.dir.path().join("again"));
        }
    }
});
