//! Archives of sessions from an untrusted source.

use std::io::{Cursor, Read, Write};
use std::sync::LazyLock;

use codeact::sessions::SessionStore;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::input::Input;
use super::sandboxes::{block_on, folder, sandbox, with_file, written};
use super::snapshot;

/// Names and bytes of the files of a valid archive: a session of three turns.
static VALID: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir_in(folder()).expect("a folder");
    let store = SessionStore::at(folder.path());
    let mut session = store.open("s", sandbox()).expect("a session");
    for code in ["x = 1", "x += 1", "f = open('a', 'w'); f.write('text')"] {
        block_on(session.run(code)).expect("a turn");
    }
    drop(session);
    let bytes = written(|path| store.export("s", path).expect("an archive"));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let read = |name: String| {
        let mut bytes = Vec::new();
        let mut file = archive.by_name(&name).expect("a file");
        file.read_to_end(&mut bytes).expect("its bytes");
        (name, bytes)
    };
    names.into_iter().map(read).collect()
});

/// Imports an archive with edits and runs code in the session.
pub fn session_archive(data: &[u8]) {
    let mut input = Input::new(data);
    let bytes = match input.as_whole_file() {
        Some(file) => file.to_vec(),
        None => edited(&mut input),
    };
    let folder = tempfile::tempdir_in(folder()).expect("a folder");
    let store = SessionStore::at(folder.path());
    with_file(&bytes, |path| {
        let used = store.import(path, "s").and_then(|()| {
            let _ = store.turns("s");
            let mut session = store.open("s", sandbox())?;
            let execution = block_on(session.run("x"))?;
            session.undo(1, sandbox())?;
            Ok(execution)
        });
        if data.is_empty() {
            let execution = used.expect("the valid archive");
            assert_eq!(execution.result.as_deref(), Some("2"));
        }
    });
    // Nothing is written outside of the session's folder.
    for entry in std::fs::read_dir(folder.path()).expect("the folder") {
        let name = entry.expect("an entry").file_name();
        assert_eq!(name, "s", "unexpected file {name:?}");
    }
}

fn edited(input: &mut Input<'_>) -> Vec<u8> {
    let mut files = VALID.clone();
    let which = input.choice(files.len());
    let kind = input.byte() % 4;
    let (name, bytes) = &mut files[which];
    match kind {
        0 => {
            let mut text = std::mem::take(name).into_bytes();
            input.edit(&mut text);
            *name = String::from_utf8_lossy(&text).into_owned();
        }
        1 if name.ends_with(".snapshot") => *bytes = snapshot::edited(bytes, input),
        1 | 2 => input.edit(bytes),
        _ => {}
    }
    let mut archive = zipped(&files).unwrap_or_default();
    if kind == 3 {
        input.edit(&mut archive);
    }
    archive
}

fn zipped(files: &[(String, Vec<u8>)]) -> zip::result::ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(name.as_str(), options)?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}
