//! Texts of every `--help` and `-h`, and of `:help` in the REPL.

use crate::texts::Page;

/// Pins the long and the short help of each of `commands`.
fn pinned(name: &str, commands: &[&str]) {
    let mut page = Page::new();
    for command in commands {
        for help in ["--help", "-h"] {
            let args: Vec<&str> = command.split_whitespace().chain([help]).collect();
            page.run(&args);
        }
    }
    page.pinned(name);
}

#[test]
fn help_of_the_command_itself() {
    pinned("help", &[""]);
}

#[test]
fn help_of_run() {
    pinned("help_run", &["run"]);
}

#[test]
fn help_of_exec() {
    pinned("help_exec", &["exec"]);
}

#[test]
fn help_of_repl() {
    pinned("help_repl", &["repl"]);
}

#[test]
fn help_of_demo_and_replay() {
    pinned("help_demo_replay", &["demo", "replay"]);
}

#[test]
fn help_of_serve() {
    pinned("help_serve", &["serve"]);
}

#[test]
fn help_of_tools() {
    pinned("help_tools", &["tools"]);
}

#[test]
fn help_of_session() {
    pinned(
        "help_session",
        &[
            "session",
            "session list",
            "session show",
            "session log",
            "session undo",
            "session fork",
            "session export",
            "session import",
            "session rm",
            "session gc",
        ],
    );
}

#[test]
fn help_of_session_resume() {
    pinned("help_session_resume", &["session resume"]);
}

#[test]
fn help_of_pack() {
    pinned(
        "help_pack",
        &[
            "pack",
            "pack install",
            "pack list",
            "pack path",
            "pack remove",
        ],
    );
}

#[test]
fn help_as_a_command_and_the_version() {
    let mut page = Page::new();
    page.run_all(&[
        &["--version"],
        &["-V"],
        &["help", "demo"],
        &["session", "help", "undo"],
        &["pack", "help"],
    ]);
    page.pinned("help_version");
}
