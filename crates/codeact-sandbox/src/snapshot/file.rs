//! File format of a snapshot.
//!
//! This file is a security boundary: a snapshot is untrusted.
//!
//! The format is `CODEACT SNAPSHOT`, the version, and a zstd stream of the head's length, the head as JSON, the bytes
//! of the pages, combined with those of the base image by exclusive or, and the bytes of the files' chunks. The SHA-256
//! of all preceding bytes follows, and is checked before anything else is read. The length of the head is bounded, every
//! count in it is checked against the limits of the sandbox that loads the snapshot, and no allocation has a size that
//! was not checked.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::SandboxError;
use crate::fs::vfs::{Quota, TreeData};
use crate::instance::memory::{PAGE, Pages};
use crate::session::context::SessionContext;
use crate::session::idle::Checkpoint;
use crate::snapshot::{SavedSnapshot, Snapshot};
use crate::wasi::Clock;
use crate::wasi::{FdData, GuestState};

const MAGIC: &[u8; 16] = b"CODEACT SNAPSHOT";
/// Incremented if the format changes.
const VERSION: u32 = 4;
/// Maximum length of the head, in bytes. It is enough for some hundred thousand files and pages.
const MAX_HEAD_BYTES: u64 = 64 << 20;
/// Compression level of zstd. It is low because a session is saved after each turn.
const LEVEL: i32 = 1;
/// Length of a SHA-256, in bytes.
pub(super) const HASH_BYTES: usize = 32;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// Hash of the pack.
    pack: String,
    /// Version of codeact.
    codeact: String,
    /// Hash of the base image.
    image: String,
    /// Hash of the base snapshot, if this one is incremental.
    over: Option<[u8; HASH_BYTES]>,
    turns: u32,
    started: bool,
    memory_len: usize,
    /// Runs of pages: the first page and the number of pages.
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
    /// The upper and the lower half of the position, because numbers in JSON have 64 bits.
    #[serde(rename = "at")]
    position: (u64, u64),
}

/// Writes a snapshot to `to`. With `over`, writes an incremental one. `path` is for messages.
pub(super) fn write(
    snapshot: &Snapshot,
    path: &Path,
    without_mounts: bool,
    over: Option<&SavedSnapshot>,
    to: &mut dyn Write,
) -> Result<SavedSnapshot, SandboxError> {
    let refused = |why| SandboxError::Snapshot {
        path: path.to_owned(),
        why,
    };
    let runtime = &snapshot.context.runtime;
    let Checkpoint {
        pages,
        state,
        started,
    } = &snapshot.checkpoint;
    // If the base has a page that this one does not have, an incremental snapshot could not represent that.
    let base = over.map(|over| over.pages.as_deref());
    let runs = match (pages, base) {
        (Some(pages), Some(base)) => pages.runs_since(base),
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
    let position = state.rng.get_word_pos();
    let head = Head {
        pack: runtime.pack.hash(),
        codeact: env!("CARGO_PKG_VERSION").to_owned(),
        image: runtime.image_id()?,
        over: over.map(|over| over.hash),
        turns: snapshot.turns,
        started: *started,
        memory_len: pages.as_ref().map_or(0, |pages| pages.memory_len),
        runs,
        rng: Rng {
            seed: state.rng.get_seed(),
            stream: state.rng.get_stream(),
            position: ((position >> 64) as u64, position as u64),
        },
        monotonic: state.clock.monotonic(),
        tree,
        fds: state.fds.to_data(&state.tree).map_err(refused)?,
    };
    let mut write = || -> io::Result<[u8; HASH_BYTES]> {
        let bytes = serde_json::to_vec(&head)?;
        let mut hashed = HashingWriter::new(to);
        hashed.write_all(MAGIC)?;
        hashed.write_all(&VERSION.to_le_bytes())?;
        let mut packed = zstd::Encoder::new(&mut hashed, LEVEL)?;
        packed.write_all(&(bytes.len() as u64).to_le_bytes())?;
        packed.write_all(&bytes)?;
        if let Some(pages) = pages {
            pages.write_to(&head.runs, runtime.image.bytes(), &mut packed)?;
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
    Ok(SavedSnapshot {
        hash,
        depth: over.map_or(0, |over| over.depth + 1),
        pages: pages.clone(),
        chunks: chunks.all,
    })
}

/// Reads a snapshot. `base` is the base snapshot if it is incremental. `path` is for messages.
pub(super) fn read(
    context: &SessionContext,
    path: &Path,
    file: File,
    base: Option<&SavedSnapshot>,
) -> Result<(Snapshot, SavedSnapshot), SandboxError> {
    let refused = |why: String| SandboxError::Snapshot {
        path: path.to_owned(),
        why,
    };
    let read_error = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => refused("the file is truncated".into()),
        _ => refused(e.to_string()),
    };
    let (body, hash) = check_envelope(file).map_err(read_error)?;
    let mut from = zstd::Decoder::new(body).map_err(read_error)?;
    let mut len = [0; 8];
    from.read_exact(&mut len).map_err(read_error)?;
    let len = u64::from_le_bytes(len);
    if len > MAX_HEAD_BYTES {
        return Err(refused("its head is invalid: it is too long".into()));
    }
    let mut head = Vec::new();
    (Read::take(&mut from, len).read_to_end(&mut head)).map_err(read_error)?;
    let head: Head =
        serde_json::from_slice(&head).map_err(|e| refused(format!("its head is invalid: {e}")))?;
    check_compatible(&head, context).map_err(refused)??;
    let base = match (head.over, base) {
        (None, _) => None,
        (Some(over), Some(base)) if over == base.hash => Some(base),
        (Some(_), _) => {
            return Err(refused(
                "it is incremental, and the snapshot that it is based on is missing".into(),
            ));
        }
    };
    let pages = match head.memory_len {
        0 => None,
        len => {
            let image = context.runtime.image.bytes();
            Some(Pages::read_from(len, &head.runs, image, &mut from).map_err(read_error)?)
        }
    };
    let pages = match (base.and_then(|base| base.pages.as_deref()), pages) {
        (Some(base), Some(pages)) if base.memory_len <= pages.memory_len => {
            Some(base.overlaid_with(&pages))
        }
        (Some(_), _) => {
            return Err(refused(
                "its memory is smaller than that of the snapshot that it is based on".into(),
            ));
        }
        (None, pages) => pages,
    };
    let pages = pages.map(Arc::new);
    let limits = &context.limits;
    let fresh = (context.runtime).fresh_state(&context.grants.layout, limits, Some(0))?;
    let (mut tree, mut fds) = (fresh.tree, fresh.fds);
    let chunks = base.map_or(&[][..], |base| &base.chunks);
    let (inos, chunks) = tree
        .restore(head.tree, &mut from, &Quota::from_limits(limits), chunks)
        .map_err(read_error)?;
    fds.restore(head.fds, &mut tree, &inos)
        .map_err(read_error)?;
    tree.remove_unused(&inos);
    let mut rng = ChaCha20Rng::from_seed(head.rng.seed);
    rng.set_stream(head.rng.stream);
    rng.set_word_pos(u128::from(head.rng.position.0) << 64 | u128::from(head.rng.position.1));
    let saved = SavedSnapshot {
        hash,
        depth: base.map_or(0, |base| base.depth + 1),
        pages: pages.clone(),
        chunks,
    };
    let snapshot = Snapshot {
        context: context.clone(),
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

/// Checks that the snapshot can be used in this sandbox.
///
/// # Errors
///
/// Returns the reason if it cannot. The inner error is a failure to read the base image.
fn check_compatible(
    head: &Head,
    context: &SessionContext,
) -> Result<Result<(), SandboxError>, String> {
    let runtime = &context.runtime;
    let image = match runtime.image_id() {
        Ok(image) => image,
        Err(e) => return Ok(Err(e)),
    };
    if let Some(difference) = base_difference(head, &runtime.pack.hash(), &image) {
        return Err(difference);
    }
    let len = head.memory_len as u64;
    if len != 0 && (len < runtime.image.len() as u64 || !len.is_multiple_of(PAGE as u64)) {
        return Err("its memory is smaller than the base image".into());
    }
    if len > context.limits.memory {
        return Err(format!(
            "it has {} MiB of memory and the limit is {} MiB; raise the memory limit",
            len.div_ceil(1 << 20),
            context.limits.memory >> 20
        ));
    }
    Ok(Ok(()))
}

/// Describes the difference between the base of a snapshot and the base here, a pack and an image; `None` if the
/// snapshot can be used.
fn base_difference(head: &Head, pack: &str, image: &str) -> Option<String> {
    let here = env!("CARGO_PKG_VERSION");
    let other =
        |name: &str, made: &str, here: &str| format!("its {name} is {made}, here it is {here}");
    if head.pack != pack {
        let pack = other("pack", short(&head.pack), short(pack));
        let advice = "install that pack, or load the snapshot where it was made";
        return Some(format!(
            "it was made with another build of Python: {pack}; {advice}"
        ));
    }
    if head.image == image {
        return None;
    }
    let image = other("base image", short(&head.image), short(image));
    Some(match head.codeact == here {
        false => {
            let version = other("version of codeact", &head.codeact, here);
            format!("it was made by another version: {version}, and {image}; the pack is the same")
        }
        true => format!(
            "{image}, although pack {} and version {here} are the same: one of the two programs was built from other \
             sources, or its base image is damaged; reinstall the pack to make it again",
            short(pack)
        ),
    })
}

fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

/// Checks the magic number, the version and the hash. Returns a reader of the bytes in between, and the hash.
fn check_envelope(mut file: File) -> io::Result<(impl io::BufRead, [u8; HASH_BYTES])> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let len = file.metadata()?.len();
    let start = (MAGIC.len() + 4) as u64;
    let Some(hashed) = len
        .checked_sub(HASH_BYTES as u64)
        .filter(|len| *len >= start)
    else {
        return Err(invalid("it is not a snapshot"));
    };
    let mut magic = [0; 16];
    let mut version = [0; 4];
    file.read_exact(&mut magic)?;
    file.read_exact(&mut version)?;
    if magic != *MAGIC {
        return Err(invalid("it is not a snapshot"));
    }
    let version = u32::from_le_bytes(version);
    if version != VERSION {
        return Err(invalid(&format!(
            "it has format {version}; this program reads format {VERSION}"
        )));
    }
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut rest = Read::take(BufReader::with_capacity(1 << 16, &file), hashed);
    io::copy(&mut rest, &mut hash)?;
    let mut stored = [0; HASH_BYTES];
    file.seek(SeekFrom::Start(hashed))?;
    file.read_exact(&mut stored)?;
    if hash.finalize()[..] != stored {
        return Err(invalid("it is damaged: its checksum does not match"));
    }
    file.seek(SeekFrom::Start(start))?;
    Ok((BufReader::new(file.take(hashed - start)), stored))
}

/// Hashes the bytes that are written.
struct HashingWriter<'a> {
    to: &'a mut dyn Write,
    hash: Sha256,
}

impl<'a> HashingWriter<'a> {
    fn new(to: &'a mut dyn Write) -> Self {
        Self {
            to,
            hash: Sha256::new(),
        }
    }
}

impl Write for HashingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
