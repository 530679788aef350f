//! The base image: CPython started, the runner loaded, the warm list imported, and all of it
//! written down as bytes.
//!
//! It is made with frozen clocks and a fixed seed, so the same pack gives the same image on every
//! machine.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::cache::{self, write_whole};
use super::door::{Door, Outside};
use super::engine::Engine;
use super::error::SandboxError;
use super::guest;
use super::host::Host;
use super::limits::Limits;
use super::memory::Image;
use super::slot::{Ended, Entry, Slot};
use super::stop::Watch;
use crate::event::{Event, EventSink, Progress, SetupStage};
use crate::pack::Pack;

/// Raised when the making of an image changes in a way its inputs do not show.
const FORMAT: u32 = 2;
/// What the names of images begin with.
const KIND: &str = "image-";

/// The file name carries all that the image depends on.
pub(crate) fn file_name(pack: &Pack) -> String {
    let mut hash = Sha256::new();
    hash.update(FORMAT.to_le_bytes());
    hash.update(pack.hash());
    for (name, source) in guest::MODULES {
        hash.update(name);
        hash.update(source);
    }
    hash.update(guest::BOOT);
    for module in &pack.manifest.image.warm {
        hash.update(module);
        hash.update([0]);
    }
    let hex: String = hash.finalize()[..8]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("{KIND}{hex}.bin")
}

/// Opens the image of `pack` in `dir`, or makes it there first. `host` is a fresh host with
/// frozen clocks.
pub(crate) async fn open(
    engine: &Engine,
    pack: &Pack,
    dir: &Path,
    host: impl FnOnce() -> Host,
    events: &EventSink,
) -> Result<(Image, Option<u32>), SandboxError> {
    let path = dir.join(file_name(pack));
    if !path.exists() {
        cache::tidy(dir, KIND);
        let progress = |progress| {
            events.emit(Event::Setup {
                stage: SetupStage::WarmUp,
                progress,
            });
        };
        progress(Progress::Started { total: None });
        let (slot, runner) = start(engine, pack, host()).await?;
        // Before the image: with that, all is there.
        write_whole(&runner_path(&path), runner.as_bytes())?;
        write_whole(&path, slot.memory())?;
        progress(Progress::Finished);
    }
    let image = Image::open(&path).map_err(|e| SandboxError::io("map", &path, e))?;
    // Without it the runner is called by its name.
    let runner = std::fs::read_to_string(runner_path(&path)).ok();
    Ok((image, runner.and_then(|at| at.parse().ok())))
}

/// Where the address of the runner's function is kept.
fn runner_path(image: &Path) -> PathBuf {
    image.with_extension("runner")
}

/// The SHA-256 of the image's bytes, in hexadecimal: what a snapshot stands on. Kept beside the
/// image, since reading all of it takes longer than a whole run.
pub(crate) fn id(image: &Image, path: &Path) -> Result<String, SandboxError> {
    let beside = path.with_extension("sha256");
    if let Ok(id) = std::fs::read_to_string(&beside)
        && id.len() == 64
        && id.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return Ok(id);
    }
    let id = format!("{:x}", Sha256::digest(image.bytes()));
    write_whole(&beside, id.as_bytes())?;
    Ok(id)
}

/// A booted slot, and the address of the runner's function, as the guest tells it.
async fn start(engine: &Engine, pack: &Pack, host: Host) -> Result<(Slot, String), SandboxError> {
    let mut slot = Slot::instantiate(engine, host).await?;
    slot.initialize().await?;
    let frame = guest::boot_frame(&pack.manifest.image.warm);
    let door = Door::new(&Limits::default(), frame, Outside::default());
    let (ended, _) = slot
        .call(Entry::Boot, door, None, &Watch::endless())
        .await?;
    let host = slot.host();
    let (out, err, _) = host.output.finish();
    let booted = host.door.ended.take().filter(|end| end.error.is_none());
    let (Ended::Returned, Some(end)) = (&ended, booted) else {
        return Err(SandboxError::Start(format!(
            "{ended:?}: {}{}",
            out.text, err.text
        )));
    };
    if !host.state.fds.is_at_rest() {
        return Err(SandboxError::Start(
            "a file is still open after its start".into(),
        ));
    }
    Ok((slot, end.result.unwrap_or_default()))
}
