//! Installation of one pack, under its lock: download, check, unpack, rename into place.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zip::ZipArchive;

use codeact_base::event::{EventSink, SetupStage};
use codeact_base::private::{create_dir, sync_dir};

use crate::folders::{rename, temporary_prefix};
use crate::marker::Marker;
use crate::progress::ProgressReporter;
use crate::unpack::{Pin, Unpacker, open_member, sync_folders};
use crate::{Clients, Manifest, PackError};

/// Installs `manifest` as the folder `destination`, from the wheel `from`, or from a wheel that `clients` download.
pub(crate) fn install(
    manifest: &Manifest,
    destination: &Path,
    from: Option<&Path>,
    clients: &Clients,
    events: &EventSink,
) -> Result<(), PackError> {
    let parent = destination.parent().unwrap_or(destination);
    let wheel_size = if from.is_some() {
        0
    } else {
        manifest.distribution.size
    };
    let needed = manifest.installed_size() + wheel_size + nested_size(manifest);
    let staging = tempfile::Builder::new()
        .prefix(&temporary_prefix(&manifest.name))
        .tempdir_in(parent)
        .map_err(PackError::write(parent, needed))?;

    let wheel = match from {
        Some(wheel) => wheel.to_owned(),
        None => download(manifest, &staging, needed, clients, events)?,
    };
    let unpacked = staging.path().join("pack");
    create_dir(&unpacked).map_err(PackError::write(&unpacked, needed))?;
    let total = Some(bytes_to_check(manifest));
    let mut progress = ProgressReporter::start(SetupStage::Check, total, events);
    unpack(
        manifest,
        &wheel,
        &unpacked,
        staging.path(),
        needed,
        &mut progress,
    )?;
    progress.finish();

    if fs::symlink_metadata(destination).is_ok() {
        // The existing folder is incomplete, because a complete one is not installed again. A rename removes it in
        // one step.
        rename(destination, &staging.path().join("broken"))?;
    }
    rename(&unpacked, destination)?;
    sync_dir(parent).map_err(PackError::io("sync", parent))
}

fn download(
    manifest: &Manifest,
    staging: &TempDir,
    needed: u64,
    clients: &Clients,
    events: &EventSink,
) -> Result<PathBuf, PackError> {
    let folder = staging.path().join("download");
    create_dir(&folder).map_err(PackError::write(&folder, needed))?;
    let size = manifest.distribution.size;
    let mut progress = ProgressReporter::start(SetupStage::Download, Some(size), events);
    // A client can store the wheel twice for a moment, and other files as well.
    let mut report = |bytes: u64| progress.reach(bytes.min(size));
    let wheel = clients.download(manifest, &folder, needed, &mut report)?;
    progress.finish();
    Ok(wheel)
}

/// Returns the sum of the sizes of the nested archives, in bytes.
fn nested_size(manifest: &Manifest) -> u64 {
    manifest.unpack.iter().map(|nested| nested.size).sum()
}

/// Returns the number of bytes that the check reads: the wheel once, then each installed file.
fn bytes_to_check(manifest: &Manifest) -> u64 {
    manifest.distribution.size + manifest.installed_size() + nested_size(manifest)
}

fn unpack(
    manifest: &Manifest,
    wheel: &Path,
    folder: &Path,
    scratch: &Path,
    needed: u64,
    progress: &mut ProgressReporter<'_>,
) -> Result<(), PackError> {
    let mut advance = |bytes| progress.add(bytes);
    let mut unpacker = Unpacker {
        folder,
        needed,
        advance: &mut advance,
        written: Default::default(),
    };
    let mut archive = open_wheel(manifest, wheel, &mut unpacker)?;
    let name = format!("the wheel {}", wheel.display());
    for file in &manifest.files {
        let pin = Pin {
            name: format!("`{}` in {name}", file.path),
            size: file.size,
            sha256: &file.sha256,
        };
        let reader = open_member(&mut archive, &name, &file.path, file.size)?;
        unpacker.write(reader, &file.to, &pin)?;
    }
    for nested in &manifest.unpack {
        let outer = folder.join(&nested.archive);
        let outer_file = File::open(&outer).map_err(PackError::io("open", &outer))?;
        let bad = |e: zip::result::ZipError| PackError::BadArchive {
            archive: nested.archive.clone(),
            problem: e.to_string(),
        };
        let mut outer = ZipArchive::new(outer_file).map_err(bad)?;
        let pin = Pin {
            name: format!("`{}` in {}", nested.member, nested.archive),
            size: nested.size,
            sha256: &nested.sha256,
        };
        let reader = open_member(&mut outer, &nested.archive, &nested.member, nested.size)?;
        let inner = unpacker.extract(reader, scratch, &pin)?;
        unpacker.unpack(inner, nested)?;
    }
    let marker = Marker {
        pack: manifest.files_hash(),
        files: unpacker.written,
    };
    // The marker says that the folder is complete, so all other files must be durable first.
    sync_folders(folder)?;
    marker.write(folder, needed)?;
    sync_dir(folder).map_err(PackError::io("sync", folder))
}

/// Checks the wheel against its pin and opens it as an archive, through one handle.
fn open_wheel(
    manifest: &Manifest,
    wheel: &Path,
    unpacker: &mut Unpacker<'_>,
) -> Result<ZipArchive<File>, PackError> {
    let pin = Pin {
        name: format!("the wheel {}", wheel.display()),
        size: manifest.distribution.size,
        sha256: &manifest.distribution.sha256,
    };
    let meta = fs::metadata(wheel).map_err(PackError::io("open the wheel", wheel))?;
    if !meta.is_file() {
        return Err(PackError::BadArchive {
            archive: pin.name,
            problem: "it is not a file".to_owned(),
        });
    }
    if meta.len() != pin.size {
        return Err(PackError::WrongSize {
            file: pin.name,
            expected: pin.size,
            found: meta.len(),
        });
    }
    let mut file = File::open(wheel).map_err(PackError::io("open the wheel", wheel))?;
    unpacker.check(&mut file, &pin)?;
    file.seek(SeekFrom::Start(0))
        .map_err(PackError::io("read", wheel))?;
    ZipArchive::new(file).map_err(|e| PackError::BadArchive {
        archive: pin.name,
        problem: e.to_string(),
    })
}
