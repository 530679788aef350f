//! Snapshots from an untrusted source.

use std::sync::LazyLock;

use codeact::sandbox::Snapshot;
use sha2::{Digest, Sha256};

use super::input::Input;
use super::sandboxes::{block_on, exercise, sandbox, with_file, written};

/// Start of a zstd stream.
const ZSTD_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// A valid snapshot: files, an open file, variables.
static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let code = "open('a.txt', 'w').write('some text'); f = open('a.txt'); f.read(2); x = [1] * 9";
    let mut session = sandbox().session().expect("a session");
    block_on(session.run(code)).expect("a turn");
    let snapshot = session.checkpoint().expect("a checkpoint");
    written(|path| snapshot.save(path).expect("a snapshot"))
});

/// Loads a snapshot with edits and runs code in its session.
pub fn snapshot(data: &[u8]) {
    let mut input = Input::new(data);
    let bytes = match input.as_whole_file() {
        Some(file) => file.to_vec(),
        None => edited(&VALID, &mut input),
    };
    with_file(&bytes, |path| match Snapshot::load(sandbox(), path) {
        Ok(snapshot) => exercise(snapshot.session()),
        Err(error) => assert!(!data.is_empty(), "{error}"),
    });
}

/// Returns the snapshot `valid` with edits of its head, of the bytes behind it, or of both, and with a valid checksum. A
/// snapshot without the expected form is returned unchanged.
pub fn edited(valid: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    edit(valid, input).unwrap_or_else(|| valid.to_vec())
}

fn edit(valid: &[u8], input: &mut Input<'_>) -> Option<Vec<u8>> {
    let stream = valid
        .windows(ZSTD_MAGIC.len())
        .position(|bytes| bytes == ZSTD_MAGIC)?;
    let checksum = valid.len().checked_sub(<Sha256 as Digest>::output_size())?;
    let mut body = zstd::decode_all(valid.get(stream..checksum)?).ok()?;
    let part = input.byte() % 3;
    if part == 2 {
        input.edit(&mut body);
    } else {
        let (len, rest) = body.split_first_chunk()?;
        let head_len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
        let (head, rest) = rest.split_at_checked(head_len)?;
        let (mut head, mut rest) = (head.to_vec(), rest.to_vec());
        input.edit(if part == 0 { &mut head } else { &mut rest });
        body = [&(head.len() as u64).to_le_bytes()[..], &head, &rest].concat();
    }
    let mut bytes = valid[..stream].to_vec();
    bytes.extend(zstd::encode_all(&*body, 1).ok()?);
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    Some(bytes)
}
