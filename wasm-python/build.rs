//! Assembles the overlays.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=overlays");
    let module = wat::parse_file("overlays/numpy.wat")?;
    let out = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    std::fs::write(Path::new(&out).join("numpy.wasm"), module)?;
    Ok(())
}
