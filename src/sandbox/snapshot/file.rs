//! A snapshot as a file.
//!
//! `CODEACT SNAPSHOT`, the version, and a zstd stream: the length of the head, the head as JSON, the
//! bytes of the pages, the bytes of the files' chunks. At the end the SHA-256 of all before it, which
//! is checked before anything else is believed. The head is bounded, every count in it is checked
//! against the limits of whoever reads, and nothing is allocated by a size that is only claimed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Saved, Snapshot};
use crate::sandbox::Sandbox;
use crate::sandbox::at_rest::Checkpoint;
use crate::sandbox::clock::Clock;
use crate::sandbox::error::SandboxError;
use crate::sandbox::host::GuestState;
use crate::sandbox::memory::{PAGE, Pages};
use crate::sandbox::session::Ground;
use crate::sandbox::vfs::{Quota, TreeData};
use crate::sandbox::wasi::FdData;

const MAGIC: &[u8; 16] = b"CODEACT SNAPSHOT";
/// Raised when the format changes.
const VERSION: u32 = 2;
/// The head's largest size: names and numbers of some hundred thousand files and pages.
const MAX_HEAD: u64 = 64 << 20;
/// zstd's fast end: a session is saved after each turn.
const LEVEL: i32 = 1;
pub(super) const HASH: usize = 32;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// The pack's identity, and the base image's.
    pack: String,
    image: String,
    /// The hash of the snapshot that this one lies over, in its pages and its files' chunks.
    over: Option<[u8; HASH]>,
    turns: u32,
    started: bool,
    memory_len: usize,
    /// Runs of pages: the first, and how many.
    runs: Vec<(u32, u32)>,
    rng: Rng,
    monotonic: u64,
    tree: TreeData,
    fds: Vec<FdData>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rng {
    seed: [u8; 32],
    stream: u64,
    /// The position, in two halves: JSON's numbers are no wider.
    at: (u64, u64),
}

pub(super) fn write(
    snapshot: &Snapshot,
    path: &Path,
    without_mounts: bool,
    over: Option<&Saved>,
    to: &mut dyn Write,
) -> Result<Saved, SandboxError> {
    let refused = |why| SandboxError::Snapshot {
        path: path.to_owned(),
        why,
    };
    let runtime = &snapshot.ground.runtime;
    let Checkpoint {
        pages,
        state,
        started,
    } = &snapshot.checkpoint;
    // Over one that has pages this one lacks, it could not be told apart: then it is whole.
    let below = over.map(|over| over.pages.as_deref());
    let runs = match (pages, below) {
        (Some(pages), Some(below)) => pages.runs_over(below),
        (Some(pages), None) => Some(pages.runs()),
        (None, Some(Some(_))) => None,
        (None, _) => Some(Vec::new()),
    };
    let Some(runs) = runs else {
        return write(snapshot, path, without_mounts, None, to);
    };
    let (tree, chunks) = (state.tree)
        .to_data(
            &state.fds.nodes(),
            without_mounts,
            over.map_or(&[], |over| &*over.chunks),
        )
        .map_err(refused)?;
    let at = state.rng.get_word_pos();
    let head = Head {
        pack: runtime.pack.hash(),
        image: runtime.image_id()?,
        over: over.map(|over| over.hash),
        turns: snapshot.turns,
        started: *started,
        memory_len: pages.as_ref().map_or(0, |pages| pages.memory_len),
        runs,
        rng: Rng {
            seed: state.rng.get_seed(),
            stream: state.rng.get_stream(),
            at: ((at >> 64) as u64, at as u64),
        },
        monotonic: state.clock.monotonic(),
        tree,
        fds: state.fds.to_data(&state.tree).map_err(refused)?,
    };
    let mut write = || -> io::Result<[u8; HASH]> {
        let bytes = serde_json::to_vec(&head)?;
        let mut hashed = Hashed::new(to);
        hashed.write_all(MAGIC)?;
        hashed.write_all(&VERSION.to_le_bytes())?;
        let mut packed = zstd::Encoder::new(&mut hashed, LEVEL)?;
        packed.write_all(&(bytes.len() as u64).to_le_bytes())?;
        packed.write_all(&bytes)?;
        if let Some(pages) = pages {
            pages.write_to(&head.runs, &mut packed)?;
        }
        for chunk in &chunks.new {
            packed.write_all(chunk)?;
        }
        packed.finish()?;
        let hash = hashed.hash.finalize();
        to.write_all(&hash)?;
        Ok(hash.into())
    };
    let hash = write().map_err(|e| SandboxError::io("write", path, e))?;
    Ok(Saved {
        hash,
        depth: over.map_or(0, |over| over.depth + 1),
        pages: pages.clone(),
        chunks: chunks.all,
    })
}

/// Reads a snapshot; one that lies over another needs that.
pub(super) fn read(
    sandbox: &Sandbox,
    path: &Path,
    file: File,
    below: Option<&Saved>,
) -> Result<(Snapshot, Saved), SandboxError> {
    let refused = |why: String| SandboxError::Snapshot {
        path: path.to_owned(),
        why,
    };
    let broken = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => refused("it ends too soon".into()),
        _ => refused(e.to_string()),
    };
    let (body, hash) = check(file).map_err(broken)?;
    let mut from = zstd::Decoder::new(body).map_err(broken)?;
    let mut len = [0; 8];
    from.read_exact(&mut len).map_err(broken)?;
    let len = u64::from_le_bytes(len);
    if len > MAX_HEAD {
        return Err(refused(
            "it is no snapshot that this program has written".into(),
        ));
    }
    let mut head = Vec::new();
    (Read::take(&mut from, len).read_to_end(&mut head)).map_err(broken)?;
    let head: Head = serde_json::from_slice(&head).map_err(|e| {
        refused(format!(
            "it is no snapshot that this program has written: {e}"
        ))
    })?;
    let ground = Ground {
        runtime: sandbox.runtime.clone(),
        grants: sandbox.grants.clone(),
        limits: sandbox.limits.clone(),
    };
    fits(&head, &ground).map_err(refused)??;
    let below = match (head.over, below) {
        (None, _) => None,
        (Some(over), Some(below)) if over == below.hash => Some(below),
        (Some(_), _) => {
            let why = "it holds what has changed since another one, which is not there";
            return Err(refused(why.into()));
        }
    };
    let pages = match head.memory_len {
        0 => None,
        len => Some(Pages::read_from(len, &head.runs, &mut from).map_err(broken)?),
    };
    let pages = match (below.and_then(|below| below.pages.as_deref()), pages) {
        (Some(below), Some(pages)) if below.memory_len <= pages.memory_len => {
            Some(below.under(&pages))
        }
        (Some(_), _) => return Err(refused("its memory has shrunk".into())),
        (None, pages) => pages,
    };
    let pages = pages.map(Arc::new);
    let limits = &ground.limits;
    let fresh = (ground.runtime).fresh_state(&ground.grants.layout, limits, Some(0))?;
    let (mut tree, mut fds) = (fresh.tree, fresh.fds);
    let chunks = below.map_or(&[][..], |below| &below.chunks);
    let (numbers, chunks) = tree
        .take_data(head.tree, &mut from, &Quota::of(limits), chunks)
        .map_err(broken)?;
    fds.take_data(head.fds, &mut tree, &numbers)
        .map_err(broken)?;
    tree.drop_unused(&numbers);
    let mut rng = ChaCha20Rng::from_seed(head.rng.seed);
    rng.set_stream(head.rng.stream);
    rng.set_word_pos(u128::from(head.rng.at.0) << 64 | u128::from(head.rng.at.1));
    let saved = Saved {
        hash,
        depth: below.map_or(0, |below| below.depth + 1),
        pages: pages.clone(),
        chunks,
    };
    let snapshot = Snapshot {
        ground,
        turns: head.turns,
        checkpoint: Checkpoint {
            pages,
            state: GuestState {
                tree,
                fds,
                rng,
                clock: Clock::resumed(head.monotonic),
                stdin: fresh.stdin,
                stdin_read: 0,
            },
            started: head.started,
        },
    };
    Ok((snapshot, saved))
}

/// Whether the snapshot can go on here; else why not.
fn fits(head: &Head, ground: &Ground) -> Result<Result<(), SandboxError>, String> {
    let runtime = &ground.runtime;
    if head.pack != runtime.pack.hash() {
        return Err(format!(
            "it is of another build of Python (pack {}, this is {}); install that pack, or run it where \
             it was made",
            short(&head.pack),
            short(&runtime.pack.hash())
        ));
    }
    let image = match runtime.image_id() {
        Ok(image) => image,
        Err(e) => return Ok(Err(e)),
    };
    if head.image != image {
        return Err(format!(
            "it stands on another base image ({}, this is {}): it was made by another version of codeact",
            short(&head.image),
            short(&image)
        ));
    }
    let len = head.memory_len as u64;
    if len != 0 && (len < runtime.image.len() as u64 || !len.is_multiple_of(PAGE as u64)) {
        return Err("its memory is smaller than the base image".into());
    }
    if len > ground.limits.memory {
        return Err(format!(
            "it has grown to {} MiB of memory, and the limit is {} MiB; give more",
            len.div_ceil(1 << 20),
            ground.limits.memory >> 20
        ));
    }
    Ok(Ok(()))
}

fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

/// Checks the beginning, the version and the hash at the end, and gives what lies between, and the hash.
fn check(mut file: File) -> io::Result<(impl io::BufRead, [u8; HASH])> {
    let odd = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let len = file.metadata()?.len();
    let begin = (MAGIC.len() + 4) as u64;
    let Some(hashed) = len.checked_sub(HASH as u64).filter(|len| *len >= begin) else {
        return Err(odd("it is no snapshot"));
    };
    let mut magic = [0; 16];
    let mut version = [0; 4];
    file.read_exact(&mut magic)?;
    file.read_exact(&mut version)?;
    if magic != *MAGIC {
        return Err(odd("it is no snapshot"));
    }
    let version = u32::from_le_bytes(version);
    if version != VERSION {
        return Err(odd(&format!(
            "it has format {version}, and this program reads format {VERSION}"
        )));
    }
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut rest = Read::take(BufReader::with_capacity(1 << 16, &file), hashed);
    io::copy(&mut rest, &mut hash)?;
    let mut told = [0; HASH];
    file.seek(SeekFrom::Start(hashed))?;
    file.read_exact(&mut told)?;
    if hash.finalize()[..] != told {
        return Err(odd("it is damaged: its checksum is another"));
    }
    file.seek(SeekFrom::Start(begin))?;
    Ok((BufReader::new(file.take(hashed - begin)), told))
}

/// Hashes what passes through.
struct Hashed<'a> {
    to: &'a mut dyn Write,
    hash: Sha256,
}

impl<'a> Hashed<'a> {
    fn new(to: &'a mut dyn Write) -> Self {
        Self {
            to,
            hash: Sha256::new(),
        }
    }
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
