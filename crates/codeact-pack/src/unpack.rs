//! Copies files out of archives and checks them against their pins. This file is a security boundary.
//!
//! Size and SHA-256 are computed while the bytes are copied. No more bytes are read than the pinned size.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::ZipArchive;
use zip::result::ZipError;

use codeact_base::private::{create_dir, sync_dir};
use codeact_base::text::hex;

use crate::manifest::is_plain_path;
use crate::{NestedArchive, PackError};

const BUFFER_BYTES: usize = 1 << 20;

/// Expected size and hash of a file.
pub(crate) struct Pin<'a> {
    /// Name of the file in error texts.
    pub(crate) name: String,
    /// Size in bytes.
    pub(crate) size: u64,
    /// SHA-256 in lowercase hexadecimal.
    pub(crate) sha256: &'a str,
}

/// Writes the files of archives to a folder and reports progress.
pub(crate) struct Unpacker<'a> {
    /// The folder to write to.
    pub(crate) folder: &'a Path,
    /// Size of the whole installation in bytes, for errors.
    pub(crate) needed: u64,
    /// Called after each copied block with its size in bytes.
    pub(crate) advance: &'a mut dyn FnMut(u64),
    /// Sizes of the written files, by path.
    pub(crate) written: BTreeMap<String, u64>,
}

impl Unpacker<'_> {
    /// Reads `reader` to its end and checks it against `pin`.
    pub(crate) fn check(&mut self, reader: impl Read, pin: &Pin<'_>) -> Result<(), PackError> {
        self.copy(reader, &mut std::io::sink(), self.folder, pin.size, pin)
    }

    /// Copies `reader` to the new file `to`, syncs it and adds it to `written`.
    pub(crate) fn write(
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

    /// Copies `reader` to an unnamed temporary file in `scratch` and rewinds it.
    pub(crate) fn extract(
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

    /// Unpacks `archive`, which was checked already, to the folder `nested.to`.
    pub(crate) fn unpack(
        &mut self,
        archive: File,
        nested: &NestedArchive,
    ) -> Result<(), PackError> {
        let bad = |problem: String| PackError::BadArchive {
            archive: nested.member.clone(),
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
                return Err(bad(format!("it contains the forbidden name `{name}`")));
            }
            files += 1;
            let to = format!("{}/{name}", nested.to);
            let path = self.folder.join(&to);
            let mut file = self.create(&path)?;
            let left = nested.unpacked_size - size;
            let length = self.stream(&mut entry, &mut file, &path, &name, left, |_| {})?;
            if length > left || files > nested.unpacked_files {
                return Err(bad("it unpacks to more than is pinned".to_owned()));
            }
            file.sync_all()
                .map_err(PackError::write(&path, self.needed))?;
            size += length;
            self.written.insert(to, length);
        }
        if (files, size) != (nested.unpacked_files, nested.unpacked_size) {
            return Err(bad("it unpacks to less than is pinned".to_owned()));
        }
        Ok(())
    }

    /// Creates the new file `path` and its parent folders.
    pub(crate) fn create(&self, path: &Path) -> Result<File, PackError> {
        let parent = path.parent().unwrap_or(self.folder);
        create_dir(parent)
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
        let found = self.stream(reader, writer, path, &pin.name, limit, |b| hash.update(b))?;
        if found != pin.size {
            return Err(PackError::WrongSize {
                file: pin.name.clone(),
                expected: pin.size,
                found,
            });
        }
        let found = hex(&hash.finalize());
        if found != pin.sha256 {
            return Err(PackError::WrongHash {
                file: pin.name.clone(),
                expected: pin.sha256.to_owned(),
                found,
            });
        }
        Ok(())
    }

    /// Copies at most `limit` bytes and returns the number of bytes read. A result above `limit` means that `reader`
    /// has more bytes; these are not written.
    pub(crate) fn stream(
        &mut self,
        mut reader: impl Read,
        writer: &mut dyn Write,
        path: &Path,
        name: &str,
        limit: u64,
        mut each: impl FnMut(&[u8]),
    ) -> Result<u64, PackError> {
        let mut buffer =
            vec![0; BUFFER_BYTES.min(usize::try_from(limit).unwrap_or(BUFFER_BYTES) + 1)];
        let mut done = 0;
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => return Ok(done),
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    return Err(PackError::BadArchive {
                        archive: name.to_owned(),
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

/// Opens `member` of `archive`. Fails before the first read if the archive's directory gives another size than `size`.
pub(crate) fn open_member<'a, R: Read + Seek>(
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
            file: format!("`{member}` in {archive_name}"),
            expected: size,
            found: entry.size(),
        });
    }
    Ok(entry)
}

/// Syncs `folder` and all folders below it, so that the names of their files are durable.
pub(crate) fn sync_folders(folder: &Path) -> Result<(), PackError> {
    for entry in fs::read_dir(folder).map_err(PackError::io("list", folder))? {
        let entry = entry.map_err(PackError::io("list", folder))?;
        let kind = entry.file_type();
        if kind
            .map_err(PackError::io("read the metadata of", folder))?
            .is_dir()
        {
            sync_folders(&entry.path())?;
        }
    }
    sync_dir(folder).map_err(PackError::io("sync", folder))
}
