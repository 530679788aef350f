//! The base image: the memory of a CPython that has started, loaded the runner and imported the warm list.
//!
//! It is made with frozen clocks and a fixed seed, so a pack gives the same image on every machine.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::cache;
use crate::engine::compiled::Engine;
use crate::error::SandboxError;
use crate::hostcall::{HostCalls, HostServices};
use crate::instance::host::Host;
use crate::instance::memory::Image;
use crate::instance::slot::{CallEnd, EntryPoint, Slot};
use crate::types::cancellation::Watch;
use crate::types::limits::Limits;
use codeact_base::event::{Event, EventSink, Progress, SetupStage};
use codeact_base::{atomic_file, text::hex};
use codeact_pack::Pack;

/// Version of the image. Incremented if it changes in a way that its inputs do not show.
const FORMAT: u32 = 6;
/// Prefix of the names of images.
const KIND: &str = "image-";

/// Returns the file name of the image, a hash of all its inputs.
pub(crate) fn file_name(pack: &Pack) -> String {
    let mut hash = Sha256::new();
    hash.update(FORMAT.to_le_bytes());
    hash.update(pack.hash());
    for (name, source) in codeact_wasm_python::MODULES {
        hash.update(name);
        hash.update(source);
    }
    hash.update(codeact_wasm_python::BOOT);
    for module in &pack.manifest.image.warm {
        hash.update(module);
        hash.update([0]);
    }
    format!("{KIND}{}.bin", hex(&hash.finalize()[..8]))
}

/// Opens the image of `pack` in `dir`, and makes it first if there is none. `host` returns a fresh host with frozen
/// clocks. Also returns the address of the runner's function, if it is known.
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
        let (slot, runner) = boot(engine, pack, host()).await?;
        // The image is written last, because its existence means that all files exist.
        write(&runner_path(&path), runner.as_bytes())?;
        write(&path, slot.memory())?;
        progress(Progress::Finished);
    }
    let image = Image::open(&path).map_err(|e| SandboxError::io("map", &path, e))?;
    // Without the address the runner is called by name.
    let runner = std::fs::read_to_string(runner_path(&path)).ok();
    Ok((image, runner.and_then(|at| at.parse().ok())))
}

/// Returns the path of the file with the address of the runner's function.
fn runner_path(image: &Path) -> PathBuf {
    image.with_extension("runner")
}

/// Returns the SHA-256 of the image's bytes in hexadecimal, which identifies the base of a snapshot. It is cached in a
/// file, because reading the whole image takes longer than a run.
pub(crate) fn id(image: &Image, path: &Path) -> Result<String, SandboxError> {
    let id_path = path.with_extension("sha256");
    if let Ok(id) = std::fs::read_to_string(&id_path)
        && id.len() == 64
        && id.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return Ok(id);
    }
    let id = format!("{:x}", Sha256::digest(image.bytes()));
    write(&id_path, id.as_bytes())?;
    Ok(id)
}

/// Returns a booted slot, and the address of the runner's function as the guest reports it.
async fn boot(engine: &Engine, pack: &Pack, host: Host) -> Result<(Slot, String), SandboxError> {
    let mut slot = Slot::instantiate(engine, host).await?;
    slot.initialize().await?;
    let frame = boot_frame(&pack.manifest.image.warm);
    let host_calls = HostCalls::new(&Limits::default(), frame, HostServices::default());
    let (ended, _) = slot
        .call(EntryPoint::Boot, host_calls, None, &Watch::endless())
        .await?;
    let host = slot.host();
    let (out, err, _) = host.wasi.output.finish();
    let booted = host
        .host_calls
        .ended
        .take()
        .filter(|end| end.error.is_none());
    let (CallEnd::Returned, Some(end)) = (&ended, booted) else {
        return Err(SandboxError::start(format!(
            "{ended:?}: {}{}",
            out.text, err.text
        )));
    };
    if !host.wasi.state.fds.is_initial() {
        return Err(SandboxError::start("a file is still open after its start"));
    }
    Ok((slot, end.result.unwrap_or_default()))
}

/// Returns the answer to the boot request: the guest's modules and the warm list.
fn boot_frame(warm: &[String]) -> Vec<u8> {
    serde_json::json!({ "modules": codeact_wasm_python::MODULES[..], "warm": warm })
        .to_string()
        .into_bytes()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SandboxError> {
    atomic_file::write(path, bytes).map_err(|e| SandboxError::io("write", path, e))
}
