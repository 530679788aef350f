//! `codeact pack`: what is installed.

use std::io::Write;
use std::process::ExitCode;

use super::args::{Global, Pack};
use super::settings;
use crate::pack::{Dirs, Manifest, PackStatus, Store, builtin_names};
use crate::report;

type Failure = Box<dyn std::error::Error>;

pub(super) async fn run(command: Pack, global: &Global) -> Result<ExitCode, Failure> {
    let store = || -> Result<Store, Failure> {
        let dirs = Dirs::from_env(&|name| std::env::var_os(name))?;
        Ok(Store::new(dirs, report::progress(global.quiet)))
    };
    let named = |name: Option<String>| -> Result<&'static Manifest, Failure> {
        let default = || builtin_names().next().unwrap_or_default().to_owned();
        Ok(Manifest::known(&name.unwrap_or_else(default))?)
    };
    let mut out = std::io::stdout();
    match command {
        Pack::Install { name, from } => {
            let manifest = named(name)?;
            let sandbox = settings::sandbox(global, report::progress(global.quiet))
                .pack(&manifest.name)
                .wheel(from)
                .build()
                .await?;
            writeln!(out, "{}", sandbox.pack().root.display())?;
        }
        Pack::List => {
            for status in store()?.list()? {
                write_status(&mut out, &status)?;
            }
        }
        Pack::Path { name } => {
            let manifest = named(name)?;
            match store()?.installed(manifest)? {
                Some(pack) => writeln!(out, "{}", pack.root.display())?,
                None => {
                    return Err(format!(
                        "the pack {} is not installed; `codeact pack install {}` installs it",
                        manifest.name, manifest.name
                    )
                    .into());
                }
            }
        }
        Pack::Remove { name } => {
            let manifest = named(name)?;
            let freed = store()?.remove(&manifest.name)?;
            anstream::eprintln!("removed {}: {} MiB freed", manifest.name, freed >> 20);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write_status(out: &mut impl Write, status: &PackStatus) -> std::io::Result<()> {
    let state = if status.installed {
        "installed"
    } else {
        "not installed"
    };
    writeln!(out, "{} {} ({state})", status.name, status.version)?;
    writeln!(out, "  {}", status.description)?;
    writeln!(out, "  Python    {}", status.python)?;
    writeln!(out, "  path      {}", status.path.display())?;
    if status.installed {
        writeln!(
            out,
            "  on disk   {} MiB, compiled code and images {} MiB",
            status.pack_bytes >> 20,
            status.cache_bytes >> 20
        )?;
    } else {
        writeln!(
            out,
            "  on disk   {} MiB when installed",
            status.installed_size >> 20
        )?;
    }
    let packages: Vec<_> = (status.packages.python.iter())
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    writeln!(out, "  packages  {}", packages.join(", "))
}
