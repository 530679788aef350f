//! `codeact pack`: installs, lists and removes packs.

use std::io::Write;
use std::process::ExitCode;

use anyhow::bail;

use codeact::pack::{Dirs, Manifest, PackStatus, Store, builtin_names};

use super::args::{Global, Pack};
use super::settings;
use crate::report::{self, notice};

pub(super) async fn run(command: Pack, global: &Global) -> anyhow::Result<ExitCode> {
    let store = || -> anyhow::Result<Store> {
        let dirs = Dirs::from_env(&|name| std::env::var_os(name))?;
        Ok(Store::new(dirs, report::progress(global.quiet)))
    };
    let named = |name: Option<String>| -> anyhow::Result<&'static Manifest> {
        let default = || builtin_names().next().unwrap_or_default().to_owned();
        Ok(Manifest::known(&name.unwrap_or_else(default))?)
    };
    let mut out = std::io::stdout();
    match command {
        Pack::Install { name, from } => {
            let manifest = named(name)?;
            if store()?.installed(manifest)?.is_some() && !global.quiet {
                notice!("{} is already installed", manifest.name);
            }
            let sandbox = settings::sandbox(global, report::progress(global.quiet), &[])
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
                    bail!(
                        "the pack {} is not installed; `codeact pack install {}` installs it",
                        manifest.name,
                        manifest.name
                    );
                }
            }
        }
        Pack::Remove { name } => {
            let manifest = named(name)?;
            let freed = store()?.remove(&manifest.name)?;
            notice!("removed {}: {} MiB freed", manifest.name, freed >> 20);
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
