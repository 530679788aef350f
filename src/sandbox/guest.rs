//! The guest's half: the Python files of `wasm-python/guest`, compiled into the program.

/// Run once while the base image is made; loads the modules and imports the warm list.
pub(crate) const BOOT: &str = include_str!("../../wasm-python/guest/boot.py");

/// One of them.
macro_rules! module {
    ($name:literal) => {
        (
            concat!("_codeact.", $name),
            include_str!(concat!("../../wasm-python/guest/", $name, ".py")),
        )
    };
}

/// Each module's name and source, in the order they are loaded.
pub(crate) const MODULES: [(&str, &str); 19] = [
    module!("hints"),
    module!("errors"),
    module!("answer"),
    module!("seeds"),
    module!("absent"),
    module!("gaps"),
    module!("door"),
    module!("tls"),
    module!("wire"),
    module!("net"),
    module!("net_poll"),
    module!("net_async"),
    module!("loop"),
    module!("threads"),
    module!("displays"),
    module!("variables"),
    module!("tools"),
    module!("people"),
    module!("turn"),
];

/// What starts every turn. Constant: the code itself comes through the door.
pub(crate) const RUN_TURN: &str = "__codeact__()";

/// What the boot asks for.
pub(crate) fn boot_frame(warm: &[String]) -> Vec<u8> {
    serde_json::json!({ "modules": MODULES, "warm": warm })
        .to_string()
        .into_bytes()
}
