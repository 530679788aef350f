//! The guest's half: the Python files of `wasm-python/guest`, compiled into the program.

/// Run once while the base image is made; loads the modules and imports the warm list.
pub(crate) const BOOT: &str = include_str!("../../wasm-python/guest/boot.py");

/// Each module's name and source, in the order they are loaded.
pub(crate) const MODULES: [(&str, &str); 10] = [
    (
        "_codeact.hints",
        include_str!("../../wasm-python/guest/hints.py"),
    ),
    (
        "_codeact.errors",
        include_str!("../../wasm-python/guest/errors.py"),
    ),
    (
        "_codeact.answer",
        include_str!("../../wasm-python/guest/answer.py"),
    ),
    (
        "_codeact.seeds",
        include_str!("../../wasm-python/guest/seeds.py"),
    ),
    (
        "_codeact.absent",
        include_str!("../../wasm-python/guest/absent.py"),
    ),
    (
        "_codeact.gaps",
        include_str!("../../wasm-python/guest/gaps.py"),
    ),
    (
        "_codeact.loop",
        include_str!("../../wasm-python/guest/loop.py"),
    ),
    (
        "_codeact.displays",
        include_str!("../../wasm-python/guest/displays.py"),
    ),
    (
        "_codeact.variables",
        include_str!("../../wasm-python/guest/variables.py"),
    ),
    (
        "_codeact.turn",
        include_str!("../../wasm-python/guest/turn.py"),
    ),
];

/// What starts every turn. Constant: the code itself comes through the door.
pub(crate) const RUN_TURN: &str = "__codeact__()";

/// What the boot asks for.
pub(crate) fn boot_frame(warm: &[String]) -> Vec<u8> {
    serde_json::json!({ "modules": MODULES, "warm": warm })
        .to_string()
        .into_bytes()
}
