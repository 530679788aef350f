//! Copying out of archives against pins: size and SHA-256 are checked while bytes stream
//! through, and nothing is ever read past its pinned size.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::ZipArchive;
use zip::result::ZipError;

use super::manifest::{hex, is_plain_path};
use super::{PackError, Unpack, private};

const BUFFER: usize = 1 << 20;

/// What a stream must turn out to be.
pub(super) struct Pin<'a> {
    /// How errors call it.
    pub(super) what: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Its SHA-256 in lowercase hexadecimal.
    pub(super) sha256: &'a str,
}

/// Where files are written, and who is told how far it is.
pub(super) struct Target<'a> {
    /// The folder under which everything lies.
    pub(super) folder: &'a Path,
    /// The whole installation's size in bytes, for errors.
    pub(super) needed: u64,
    /// Called with the count of bytes after each piece.
    pub(super) advance: &'a mut dyn FnMut(u64),
    /// The sizes of the files written, by path.
    pub(super) written: BTreeMap<String, u64>,
}

impl Target<'_> {
    /// Reads all of `reader` without keeping it.
    pub(super) fn check(&mut self, reader: impl Read, pin: &Pin<'_>) -> Result<(), PackError> {
        self.copy(reader, &mut std::io::sink(), self.folder, pin.size, pin)
    }

    /// Copies `reader` to the new file `to`, durably, and notes it as written.
    pub(super) fn write(
        &mut self,
        reader: impl Read,
        to: &str,
        pin: &Pin<'_>,
    ) -> Result<(), PackError> {
        let path = self.folder.join(to);
        let mut file = self.create(&path)?;
        self.copy(reader, &mut file, &path, pin.size, pin)?;
        file.sync_all()
            .map_err(PackError::write(&path, self.needed))?;
        self.written.insert(to.to_owned(), pin.size);
        Ok(())
    }

    /// Copies `reader` to a file in `scratch` that goes away with its handle, and rewinds it.
    pub(super) fn extract(
        &mut self,
        reader: impl Read,
        scratch: &Path,
        pin: &Pin<'_>,
    ) -> Result<File, PackError> {
        let mut file =
            tempfile::tempfile_in(scratch).map_err(PackError::write(scratch, self.needed))?;
        self.copy(reader, &mut file, scratch, pin.size, pin)?;
        file.rewind().map_err(PackError::io("read", scratch))?;
        Ok(file)
    }

    /// Unpacks the whole of `archive`, which has been checked already, to the folder `spec.to`.
    pub(super) fn unpack(&mut self, archive: File, spec: &Unpack) -> Result<(), PackError> {
        let bad = |problem: String| PackError::BadArchive {
            archive: spec.member.clone(),
            problem,
        };
        let mut archive = ZipArchive::new(archive).map_err(|e| bad(e.to_string()))?;
        let (mut files, mut size) = (0, 0);
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|e| bad(e.to_string()))?;
            if entry.is_dir() {
                continue;
            }
            let name = entry.name().to_owned();
            if !is_plain_path(&name) {
                return Err(bad(format!("it holds the forbidden name `{name}`")));
            }
            files += 1;
            let to = format!("{}/{name}", spec.to);
            let path = self.folder.join(&to);
            let mut file = self.create(&path)?;
            let left = spec.unpacked_size - size;
            let length = self.stream(&mut entry, &mut file, &path, &name, left, |_| {})?;
            if length > left || files > spec.unpacked_files {
                return Err(bad("it unpacks to more than is pinned".to_owned()));
            }
            file.sync_all()
                .map_err(PackError::write(&path, self.needed))?;
            size += length;
            self.written.insert(to, length);
        }
        if (files, size) != (spec.unpacked_files, spec.unpacked_size) {
            return Err(bad("it unpacks to less than is pinned".to_owned()));
        }
        Ok(())
    }

    /// Creates the new file `path` and the folders it lies in.
    pub(super) fn create(&self, path: &Path) -> Result<File, PackError> {
        let parent = path.parent().unwrap_or(self.folder);
        private::create_dir(parent)
            .and_then(|()| File::create_new(path))
            .map_err(PackError::write(path, self.needed))
    }

    fn copy(
        &mut self,
        reader: impl Read,
        writer: &mut dyn Write,
        path: &Path,
        limit: u64,
        pin: &Pin<'_>,
    ) -> Result<(), PackError> {
        let mut hash = Sha256::new();
        let found = self.stream(reader, writer, path, &pin.what, limit, |b| hash.update(b))?;
        if found != pin.size {
            return Err(PackError::WrongSize {
                what: pin.what.clone(),
                expected: pin.size,
                found,
            });
        }
        let found = hex(&hash.finalize());
        if found != pin.sha256 {
            return Err(PackError::WrongHash {
                what: pin.what.clone(),
                expected: pin.sha256.to_owned(),
                found,
            });
        }
        Ok(())
    }

    /// Copies at most `limit` bytes; returns more than `limit` if there were more, having
    /// written none of them.
    pub(super) fn stream(
        &mut self,
        mut reader: impl Read,
        writer: &mut dyn Write,
        path: &Path,
        what: &str,
        limit: u64,
        mut each: impl FnMut(&[u8]),
    ) -> Result<u64, PackError> {
        let mut buffer = vec![0; BUFFER.min(usize::try_from(limit).unwrap_or(BUFFER) + 1)];
        let mut done = 0;
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => return Ok(done),
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    return Err(PackError::BadArchive {
                        archive: what.to_owned(),
                        problem: e.to_string(),
                    });
                }
            };
            done += count as u64;
            if done > limit {
                return Ok(done);
            }
            each(&buffer[..count]);
            writer
                .write_all(&buffer[..count])
                .map_err(PackError::write(path, self.needed))?;
            (self.advance)(count as u64);
        }
    }
}

/// Opens `member` of `archive`, refusing at once what says that it is larger than its pin.
pub(super) fn open_member<'a, R: Read + Seek>(
    archive: &'a mut ZipArchive<R>,
    archive_name: &str,
    member: &str,
    size: u64,
) -> Result<impl Read + use<'a, R>, PackError> {
    let entry = archive.by_name(member).map_err(|e| PackError::BadArchive {
        archive: archive_name.to_owned(),
        problem: match e {
            ZipError::FileNotFound => format!("it has no `{member}`"),
            e => format!("`{member}` cannot be read: {e}"),
        },
    })?;
    if entry.size() != size {
        return Err(PackError::WrongSize {
            what: format!("`{member}` in {archive_name}"),
            expected: size,
            found: entry.size(),
        });
    }
    Ok(entry)
}

/// Makes the names in `folder` and all folders below it durable.
pub(super) fn sync_folders(folder: &Path) -> Result<(), PackError> {
    for entry in fs::read_dir(folder).map_err(PackError::io("list", folder))? {
        let entry = entry.map_err(PackError::io("list", folder))?;
        let kind = entry.file_type();
        if kind.map_err(PackError::io("look at", folder))?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    private::sync_dir(folder).map_err(PackError::io("sync", folder))
}
