//! Compiles added packages to bytecode, once for each wheel and base image.
//!
//! Without bytecode, each run that imports a package compiles its modules again. A sandbox of its own compiles them: it
//! has only the sources of one wheel, and runs none of them. Its fuel is limited and not its time, and its seed is fixed,
//! so the bytecode is the same on every machine, and with it the memory of turns that import the package.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use codeact_base::event::{Event, EventSink, SetupStage};
use codeact_pack::{Bytecode, Manifest, Site, SiteFile, Store};

use crate::engine::runtime::Runtime;
use crate::error::SandboxError;
use crate::fs::site_packages;
use crate::session::context::{Grants, SessionContext};
use crate::session::{Outcome, Session, SessionOptions, Turn};
use crate::types::limits::Limits;

/// Sources of one turn, in bytes and files.
const MAX_CHUNK_BYTES: u64 = 512 << 10;
const MAX_CHUNK_FILES: usize = 200;
/// Sources that are compiled of one wheel, in bytes and files. Others are compiled when they are imported.
const MAX_WHEEL_BYTES: u64 = 16 << 20;
const MAX_WHEEL_FILES: usize = 5000;
/// A source larger than this, in bytes, is compiled when it is imported.
const MAX_SOURCE_BYTES: u64 = 1 << 20;
/// Size of the bytecode of one turn, in bytes.
const MAX_BYTECODE_BYTES: u64 = 32 << 20;
const FUEL: u64 = 20_000_000_000;
/// Only a safety net, since fuel is the limit.
const WALL: Duration = Duration::from_secs(300);

/// Compiles the sources of the list NAMES below FOLDER. The bytecode of source I becomes the file I of the home folder.
/// Its header says that it belongs to its source without a check (PEP 552), because both never change.
const COMPILER: &str = r#"
def compile_sources(folder, names):
    from importlib._bootstrap_external import _code_to_hash_pyc
    from importlib.util import source_hash
    for number, name in enumerate(names):
        path = f"{folder}/{name}"
        try:
            with open(path, "rb") as file:
                source = file.read()
            code = compile(source, path, "exec", dont_inherit=True)
            data = _code_to_hash_pyc(code, source_hash(source), False)
        except Exception:
            # Not valid for this version of Python: an import of it reports the error.
            continue
        with open(str(number), "wb") as file:
            file.write(data)
import warnings
warnings.simplefilter("ignore")
"#;

/// Adds bytecode to the packages of `site`, and makes what is missing. Blocks. The thread must not run async tasks.
pub(crate) fn add(
    site: &mut Site,
    store: &Store,
    manifest: &Manifest,
    runtime: &Arc<Runtime>,
    events: &EventSink,
) -> Result<(), SandboxError> {
    if site.packages.is_empty() {
        return Ok(());
    }
    let compiler = runtime.image_name();
    let mut files: BTreeMap<String, SiteFile> = BTreeMap::new();
    for file in std::mem::take(&mut site.files) {
        files.insert(file.path.clone(), file);
    }
    for package in &site.packages {
        let sources = store.package_sources(manifest, package)?;
        let bytecode = match store.bytecode(manifest, package, &compiler)? {
            Some(bytecode) => bytecode,
            None => {
                let stage = SetupStage::Packages;
                let text = format!("compiling {} {}", package.name, package.version);
                events.emit(Event::SetupStatus { stage, text });
                let bytecode = compile(&sources, manifest, runtime)?;
                store.store_bytecode(manifest, package, &compiler, bytecode)?;
                let stored = store.bytecode(manifest, package, &compiler)?;
                stored.unwrap_or_default()
            }
        };
        let sources: BTreeMap<_, _> = sources.iter().map(|s| (&s.path, &s.host)).collect();
        for mut file in bytecode {
            let source = files.get(&file.path).map(|source| &source.host);
            // The file of another wheel can have priority.
            let is_own = source.is_some() && source == sources.get(&file.path).copied();
            let (folder, path) = cached_path(&file.path, manifest);
            if is_own && !files.contains_key(&folder) {
                file.path = path.clone();
                files.entry(path).or_insert(file);
            }
        }
    }
    site.files = files.into_values().collect();
    Ok(())
}

/// Returns the path of the bytecode of a source (PEP 3147), after its folder.
fn cached_path(source: &str, manifest: &Manifest) -> (String, String) {
    let (parent, name) = match source.rsplit_once('/') {
        Some((parent, name)) => (format!("{parent}/"), name),
        None => (String::new(), source),
    };
    let folder = format!("{parent}__pycache__");
    let module = name.trim_end_matches(".py");
    let version: String = manifest.python.split('.').take(2).collect();
    let path = format!("{folder}/{module}.cpython-{version}.pyc");
    (folder, path)
}

/// Compiles the sources of one wheel in a sandbox that has only them.
fn compile(
    sources: &[SiteFile],
    manifest: &Manifest,
    runtime: &Arc<Runtime>,
) -> Result<Bytecode, SandboxError> {
    let mut site = Site::default();
    let mut bytes = 0;
    for source in sources
        .iter()
        .filter(|source| source.len <= MAX_SOURCE_BYTES)
    {
        bytes += source.len;
        if bytes > MAX_WHEEL_BYTES || site.files.len() == MAX_WHEEL_FILES {
            break;
        }
        site.files.push(source.clone());
    }
    let mut layout = runtime.layout.clone();
    let Some(folder) = site_packages::insert(&site, manifest, &mut layout) else {
        return Ok(Bytecode::new());
    };
    let limits = Limits::new()
        .with_fuel(Some(FUEL))
        .with_wall(WALL)
        .with_file_bytes(MAX_BYTECODE_BYTES);
    let context = SessionContext {
        runtime: runtime.clone(),
        grants: Grants {
            mounts: Arc::default(),
            // Without its folder on the path, the sources are files like any other.
            site: None,
            packages: Arc::default(),
            layout,
            toolbox: None,
            offline: true,
        },
        limits,
    };
    let mut compiled = Bytecode::new();
    let mut rest = site.files.as_slice();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(chunk_len(rest));
        rest = after;
        let mut session = Session::new(context.clone(), &SessionOptions::new().seed(0))?;
        let names: Vec<_> = chunk.iter().map(|source| source.path.as_str()).collect();
        // JSON of texts is also Python.
        let arguments = serde_json::json!([&*folder, names]);
        let code = format!("{COMPILER}compile_sources(*{arguments})");
        let done = session.run_blocking(Turn::new(code).keep_files(true))?;
        if done.outcome != Outcome::Completed {
            continue;
        }
        for file in &done.files {
            let source = file.path.parse::<usize>().ok().and_then(|at| chunk.get(at));
            if let (Some(source), Ok(data)) = (source, file.to_vec()) {
                compiled.push((source.path.clone(), data));
            }
        }
    }
    Ok(compiled)
}

/// Returns the number of sources of the next turn, at least one.
fn chunk_len(sources: &[SiteFile]) -> usize {
    let mut bytes = 0;
    let fits = sources.iter().take(MAX_CHUNK_FILES).take_while(|source| {
        bytes += source.len;
        bytes <= MAX_CHUNK_BYTES
    });
    fits.count().max(1)
}
