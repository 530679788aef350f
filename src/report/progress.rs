//! Progress of the installation of a pack, as bars on stderr.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::notice;
use codeact::event::{Event, EventSink, Progress, SetupStage};
use codeact_base::text::one_line;

/// Characters of a status line, which should fit into a line of a terminal.
const MAX_STATUS_CHARS: usize = 100;

/// Returns a sink that draws a bar for each stage; none if `quiet` is true.
pub(crate) fn progress(quiet: bool) -> EventSink {
    if quiet {
        return EventSink::none();
    }
    let current: Mutex<Option<ProgressBar>> = Mutex::new(None);
    EventSink::new(move |event| {
        let Ok(mut current) = current.lock() else {
            return;
        };
        let (stage, progress) = match event {
            Event::Setup { stage, progress } => (stage, progress),
            Event::SetupStatus { stage, text } => return status(current.as_ref(), stage, &text),
            Event::SetupNote { text } => return note(current.as_ref(), &text),
            _ => return,
        };
        match progress {
            Progress::Started { total } => {
                if !std::io::stderr().is_terminal() {
                    // There are no bars without a terminal, and a minute of silence would look like a hang.
                    notice!("{} ...", label(stage));
                }
                *current = Some(start(stage, total));
            }
            Progress::Advanced { done } => {
                if let Some(bar) = &*current {
                    bar.set_position(done);
                }
            }
            Progress::Finished => {
                if let Some(bar) = current.take() {
                    let took = bar.elapsed();
                    bar.finish_and_clear();
                    notice!("{} ({:.1} s)", label(stage), took.as_secs_f64());
                }
            }
            _ => {}
        }
    })
}

/// Shows what is being done: in the bar of the stage, or as a line if there is none.
fn status(bar: Option<&ProgressBar>, stage: SetupStage, text: &str) {
    let text = format!("{}: {}", label(stage), shortened(text));
    match bar.filter(|bar| !bar.is_hidden()) {
        Some(bar) => bar.set_message(text),
        None => notice!("{text}"),
    }
}

/// Prints a line that stays.
fn note(bar: Option<&ProgressBar>, text: &str) {
    let print = || notice!("codeact: {}", one_line(text));
    match bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Returns the start of a text that contains names from packages.
fn shortened(text: &str) -> String {
    let text = one_line(text);
    match text.char_indices().nth(MAX_STATUS_CHARS) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}

fn start(stage: SetupStage, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{msg} {wide_bar} {bytes}/{total_bytes}",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {msg} ({elapsed})"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(label(stage));
    if total.is_none() {
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    bar
}

fn label(stage: SetupStage) -> &'static str {
    match stage {
        SetupStage::Download => "downloading the Python pack",
        SetupStage::Packages => "downloading packages",
        SetupStage::Check => "checking and unpacking the pack",
        SetupStage::Compile => "compiling the pack for this machine, once",
        SetupStage::WarmUp => "starting Python and saving its image, once",
        _ => "preparing the pack",
    }
}
