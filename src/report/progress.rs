//! Progress of the installation of a pack, as bars on stderr.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use codeact::event::{Event, EventSink, Progress, SetupStage};

/// Returns a sink that draws a bar for each stage; none if `quiet` is true.
pub(crate) fn progress(quiet: bool) -> EventSink {
    if quiet {
        return EventSink::none();
    }
    let current: Mutex<Option<ProgressBar>> = Mutex::new(None);
    EventSink::new(move |event| {
        let Event::Setup { stage, progress } = event else {
            return;
        };
        let Ok(mut current) = current.lock() else {
            return;
        };
        match progress {
            Progress::Started { total } => {
                if !std::io::stderr().is_terminal() {
                    // There are no bars without a terminal, and a minute of silence would look like a hang.
                    anstream::eprintln!("{} ...", label(stage));
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
                    anstream::eprintln!("{} ({:.1} s)", label(stage), took.as_secs_f64());
                }
            }
            _ => {}
        }
    })
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
