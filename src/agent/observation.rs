//! What the model is told of its code: an `Execution` as text.

use crate::sandbox::{Captured, Exception, Execution, Frame, Outcome};

/// The longest observation's parts, in characters; a context window is not a log file.
const MAX_OUTPUT: usize = 8_000;
const MAX_RESULT: usize = 4_000;
const MAX_ERROR: usize = 3_000;
/// The longest line of an error; a source line can be as long as a reply.
const MAX_LINE: usize = 300;

/// The first word of every observation; also the stop sequence that keeps a model from making
/// one up.
pub(super) const PREFIX: &str = "Observation:";

/// Tells `execution` to the model.
pub(super) fn text(execution: &Execution) -> String {
    let mut text = String::from(PREFIX);
    let output: String = (execution.transcript.iter())
        .map(|(_, text)| text.as_str())
        .collect();
    let output = output.trim_end();
    if !output.is_empty() {
        text += "\nOutput:\n";
        text += &shorten(output, MAX_OUTPUT);
    }
    for (name, captured) in [("stdout", &execution.stdout), ("stderr", &execution.stderr)] {
        text += &cut(name, captured);
    }
    if let Some(result) = &execution.result {
        text += "\nValue of the last expression:\n";
        text += &shorten(result, MAX_RESULT);
    }
    for display in &execution.displays {
        if display.is_picture() {
            let size = display.bytes.len();
            text += &format!(
                "\nThe user is shown a picture: {} ({size} bytes).",
                display.name
            );
        }
    }
    let ending = ending(execution);
    if !ending.is_empty() {
        text.push('\n');
        text += &ending;
        if let Some(place) = place(execution) {
            text += "\nThis is where it was:\n";
            text += &place;
        }
    } else if output.is_empty() && execution.result.is_none() && execution.displays.is_empty() {
        text += "\nThe code ran without an error, but it printed nothing and has no final value. \
                 Nobody has seen an answer yet. Send the whole code again with one more line at \
                 its end: final_answer(value), where value is what the task asks for.";
    } else {
        text += "\nThe code ran without an error. If this is all you need, call \
                 final_answer(value) in a ```python block, with the value computed by the code; \
                 else go on.";
    }
    text
}

fn cut(name: &str, captured: &Captured) -> String {
    if captured.dropped_bytes == 0 {
        return String::new();
    }
    format!(
        "\n({name} was cut: {} bytes over the limit were dropped. Print less.)",
        captured.dropped_bytes
    )
}

fn ending(execution: &Execution) -> String {
    let undone = "All variables are as they were before this code.";
    match &execution.outcome {
        Outcome::Completed => String::new(),
        Outcome::Raised(error) => format!(
            "Error:\n{}\nFix the code and send the whole block again.",
            shorten(&short_lines(&own_traceback(error)), MAX_ERROR)
        ),
        Outcome::Exited { code } => format!(
            "The code ended itself with exit status {code}. Do not call exit; call \
             final_answer(value) with the answer."
        ),
        Outcome::TimedOut { limit } => format!(
            "The code was stopped: it ran longer than {} seconds. {undone} Use a faster way.",
            limit.as_secs_f64()
        ),
        Outcome::OutOfFuel { budget } => format!(
            "The code was stopped: it used up its budget of {budget} instructions. {undone} Use \
             a faster way."
        ),
        Outcome::Cancelled => format!("The code was stopped by the user. {undone}"),
        Outcome::Waiting => format!("The code was stopped: it waits for an answer. {undone}"),
        Outcome::Trapped { reason } => {
            format!("The interpreter failed: {reason}. {undone} Try another way.")
        }
    }
}

/// Why the run goes on, in a line for people.
pub(super) fn note(execution: &Execution) -> Option<String> {
    match &execution.outcome {
        Outcome::Completed => None,
        Outcome::Raised(error) => Some(match error.message.lines().next() {
            Some(message) => format!("{}: {message}", error.kind),
            None => error.kind.clone(),
        }),
        _ => ending(execution).split(". ").next().map(str::to_owned),
    }
}

/// Why a program has no answer, for people.
pub(super) fn failure(execution: &Execution) -> String {
    match &execution.outcome {
        Outcome::Raised(error) => {
            let traceback = shorten(error.traceback.trim_end(), MAX_ERROR);
            format!("the program failed:\n{traceback}")
        }
        Outcome::Exited { code } => format!("the program ended with exit status {code}"),
        _ => {
            let mut text = note(execution).unwrap_or_else(|| "the program has no answer".into());
            if let Some(traceback) = &execution.interrupted {
                text.push('\n');
                text += &shorten(traceback.to_string().trim_end(), MAX_ERROR);
            }
            text
        }
    }
}

/// Where the code was when it was stopped.
fn place(execution: &Execution) -> Option<String> {
    let traceback = execution.interrupted.as_ref()?;
    let mut text = traceback.to_string();
    if text.len() > MAX_ERROR {
        text = own_frames(&traceback.frames);
    }
    Some(shorten(&short_lines(text.trim_end()), MAX_ERROR))
}

/// The traceback, its middle left out where libraries make it long: what a model needs is its own
/// line and the error.
fn own_traceback(error: &Exception) -> String {
    if error.traceback.len() <= MAX_ERROR {
        return error.traceback.trim_end().to_owned();
    }
    let mut text = own_frames(&error.frames);
    text += &format!("{}: {}", error.kind, error.message);
    text
}

/// The last of the frames that are the model's own, as Python prints them.
fn own_frames(frames: &[Frame]) -> String {
    let own: Vec<_> = (frames.iter())
        .filter(|frame| frame.file.starts_with("<turn "))
        .collect();
    let mut text = String::from("Traceback (most recent call last):\n");
    for frame in own.iter().rev().take(5).rev() {
        text += &format!(
            "  File \"{}\", line {}, in {}\n",
            frame.file, frame.line, frame.function
        );
        if let Some(source) = &frame.source {
            text += &format!("    {source}\n");
        }
    }
    text
}

fn short_lines(text: &str) -> String {
    let short = |line: &str| match line.char_indices().nth(MAX_LINE) {
        Some((at, _)) => format!("{} ...", &line[..at]),
        None => line.to_owned(),
    };
    text.lines().map(short).collect::<Vec<_>>().join("\n")
}

/// `text`, its middle left out where it is longer than `longest` characters.
pub(super) fn shorten(text: &str, longest: usize) -> String {
    let count = text.chars().count();
    if count <= longest {
        return text.to_owned();
    }
    let half = longest / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(count - half).collect();
    format!(
        "{head}\n... ({} characters left out) ...\n{tail}",
        count - 2 * half
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Stream;
    use crate::sandbox::{Traceback, Usage};
    use std::time::Duration;

    fn execution(outcome: Outcome, stdout: &str) -> Execution {
        let captured = |text: &str| Captured {
            text: text.into(),
            dropped_bytes: 0,
        };
        Execution {
            outcome,
            stdout: captured(stdout),
            stderr: captured(""),
            transcript: vec![(Stream::Stdout, stdout.into())],
            result: None,
            displays: Vec::new(),
            files: Vec::new(),
            variables: Vec::new(),
            interrupted: None,
            answer: None,
            waiting: None,
            rolled_back: false,
            usage: Usage::default(),
        }
    }

    #[test]
    fn output_comes_first_and_then_what_to_do() {
        let text = text(&execution(Outcome::Completed, "87.0\n"));
        assert!(text.starts_with("Observation:\nOutput:\n87.0\n"), "{text}");
        assert!(text.contains("final_answer(value)"), "{text}");
    }

    #[test]
    fn a_silent_turn_says_so() {
        let text = text(&execution(Outcome::Completed, ""));
        assert!(text.contains("printed nothing"), "{text}");
    }

    #[test]
    fn a_stopped_turn_keeps_its_output_and_says_what_is_undone() {
        let limit = Duration::from_secs(2);
        let text = text(&execution(Outcome::TimedOut { limit }, "begun"));
        assert!(
            text.contains("begun") && text.contains("2 seconds"),
            "{text}"
        );
        assert!(text.contains("as they were before"), "{text}");
    }

    #[test]
    fn a_stopped_turn_tells_where_it_was() {
        let limit = Duration::from_secs(2);
        let mut execution = execution(Outcome::TimedOut { limit }, "");
        let frame = |file: &str, line| Frame {
            file: file.into(),
            line,
            function: "f".into(),
            source: None,
        };
        let traceback = |frames| Traceback {
            frames,
            left_out: 0,
        };
        execution.interrupted = Some(traceback(vec![frame("<turn 1>", 3)]));
        let whole = text(&execution);
        let at = whole.find("This is where it was:\nTraceback").unwrap();
        assert!(
            whole[at..].ends_with("File \"<turn 1>\", line 3, in f"),
            "{whole}"
        );
        assert!(failure(&execution).contains("line 3"));
        // Where libraries make it long, the model's own lines are what it needs.
        let mut frames = vec![frame("<turn 1>", 3)];
        frames.extend((0..39).map(|line| frame(&"l".repeat(100), line + 1)));
        execution.interrupted = Some(traceback(frames));
        let short = text(&execution);
        assert!(
            short.len() < MAX_ERROR && short.ends_with("line 3, in f"),
            "{short}"
        );
    }

    #[test]
    fn dropped_output_is_told() {
        let mut execution = execution(Outcome::Completed, "x");
        execution.stdout.dropped_bytes = 7;
        assert!(text(&execution).contains("7 bytes over the limit"));
    }

    #[test]
    fn a_long_traceback_is_cut_to_the_models_own_lines() {
        let frame = |file: &str, line| Frame {
            file: file.into(),
            line,
            function: "f".into(),
            source: Some("x".into()),
        };
        let error = Exception {
            kind: "ValueError".into(),
            message: "bad".into(),
            frames: vec![frame("<turn 1>", 3), frame("/usr/lib/pandas.py", 9)],
            traceback: "t".repeat(MAX_ERROR + 1),
            bases: vec![],
        };
        let text = own_traceback(&error);
        assert!(
            text.contains("<turn 1>") && !text.contains("pandas"),
            "{text}"
        );
        assert!(text.ends_with("ValueError: bad"), "{text}");
    }

    #[test]
    fn shortening_keeps_both_ends() {
        let text = shorten(&format!("a{}z", "é".repeat(100)), 10);
        assert!(
            text.starts_with("aéééé\n") && text.ends_with("ééééz"),
            "{text}"
        );
    }
}
