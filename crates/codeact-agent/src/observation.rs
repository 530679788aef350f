//! Observations: an [`Execution`] as text for the model.
//!
//! The texts are part of the prompt. Change them only with an evaluation.

use codeact_sandbox::{Captured, Exception, Execution, Frame, Outcome};

/// Limit of the output in an observation, in characters.
const MAX_OUTPUT: usize = 8_000;
/// Limit of the final value in an observation, in characters.
const MAX_RESULT: usize = 4_000;
/// Limit of a traceback in an observation, in characters.
const MAX_ERROR: usize = 3_000;
/// Limit of a line of a traceback, in characters. A source line can be as long as a reply.
const MAX_LINE: usize = 300;

/// First word of every observation. A reply ends before a line that begins with it.
pub(super) const PREFIX: &str = "Observation:";

/// Returns the observation of `execution`.
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
        text += &truncation(name, captured);
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
        if let Some(position) = position(execution) {
            text += "\nThis is where it was:\n";
            text += &position;
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

/// Returns the truncation notice of a stream; empty if nothing was dropped.
fn truncation(name: &str, captured: &Captured) -> String {
    if captured.dropped_bytes == 0 {
        return String::new();
    }
    format!(
        "\n({name} was cut: {} bytes over the limit were dropped. Print less.)",
        captured.dropped_bytes
    )
}

/// Returns the description of an outcome; empty if the code completed.
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
        Outcome::Suspended => format!("The code was stopped: it waits for an answer. {undone}"),
        Outcome::Trapped { reason } => {
            format!("The interpreter failed: {reason}. {undone} Try another way.")
        }
        other => format!("The code ended with status {}. {undone}", other.status()),
    }
}

/// Returns the reason why the run goes on, as one line for the user.
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

/// Returns the reason why a program has no answer, for the user.
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

/// Returns the traceback of code that was stopped.
fn position(execution: &Execution) -> Option<String> {
    let traceback = execution.interrupted.as_ref()?;
    let mut text = traceback.to_string();
    if text.len() > MAX_ERROR {
        text = own_frames(&traceback.frames);
    }
    Some(shorten(&short_lines(text.trim_end()), MAX_ERROR))
}

/// Returns the traceback. A long one is reduced to the frames of the model's code and the error, because frames of
/// libraries are of no use to the model.
fn own_traceback(error: &Exception) -> String {
    if error.traceback.len() <= MAX_ERROR {
        return error.traceback.trim_end().to_owned();
    }
    let mut text = own_frames(&error.frames);
    text += &format!("{}: {}", error.kind, error.message);
    text
}

/// Returns the last frames of the model's code, in Python's format.
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

/// Shortens each line of `text` to [`MAX_LINE`].
fn short_lines(text: &str) -> String {
    let short = |line: &str| match line.char_indices().nth(MAX_LINE) {
        Some((at, _)) => format!("{} ...", &line[..at]),
        None => line.to_owned(),
    };
    text.lines().map(short).collect::<Vec<_>>().join("\n")
}

/// Returns `text` without its middle if it is longer than `max` characters.
pub(super) fn shorten(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let half = max / 2;
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
    use codeact_base::event::Stream;
    use codeact_sandbox::Traceback;
    use std::time::Duration;

    fn execution(outcome: Outcome, stdout: &str) -> Execution {
        let mut execution = Execution::new(outcome);
        execution.stdout = Captured::new(stdout);
        execution.transcript = vec![(Stream::Stdout, stdout.into())];
        execution
    }

    #[test]
    fn output_precedes_the_advice() {
        let text = text(&execution(Outcome::Completed, "87.0\n"));
        assert!(text.starts_with("Observation:\nOutput:\n87.0\n"), "{text}");
        assert!(text.contains("final_answer(value)"), "{text}");
    }

    #[test]
    fn a_turn_without_output_or_value_asks_for_an_answer() {
        let text = text(&execution(Outcome::Completed, ""));
        assert!(text.contains("printed nothing"), "{text}");
    }

    #[test]
    fn a_stopped_turn_has_its_output_and_reports_the_rollback() {
        let limit = Duration::from_secs(2);
        let text = text(&execution(Outcome::TimedOut { limit }, "begun"));
        assert!(
            text.contains("begun") && text.contains("2 seconds"),
            "{text}"
        );
        assert!(text.contains("as they were before"), "{text}");
    }

    #[test]
    fn a_stopped_turn_has_the_position_of_the_code() {
        let limit = Duration::from_secs(2);
        let mut execution = execution(Outcome::TimedOut { limit }, "");
        let frame = |file: &str, line| Frame::new(file, line, "f");
        execution.interrupted = Some(Traceback::new(vec![frame("<turn 1>", 3)]));
        let whole = text(&execution);
        let at = whole.find("This is where it was:\nTraceback").unwrap();
        assert!(
            whole[at..].ends_with("File \"<turn 1>\", line 3, in f"),
            "{whole}"
        );
        assert!(failure(&execution).contains("line 3"));
        // A long traceback is reduced to the model's own lines.
        let mut frames = vec![frame("<turn 1>", 3)];
        frames.extend((0..39).map(|line| frame(&"l".repeat(100), line + 1)));
        execution.interrupted = Some(Traceback::new(frames));
        let short = text(&execution);
        assert!(
            short.len() < MAX_ERROR && short.ends_with("line 3, in f"),
            "{short}"
        );
    }

    #[test]
    fn dropped_output_is_reported() {
        let mut execution = execution(Outcome::Completed, "x");
        execution.stdout.dropped_bytes = 7;
        assert!(text(&execution).contains("7 bytes over the limit"));
    }

    #[test]
    fn a_long_traceback_is_reduced_to_the_models_own_lines() {
        let frame = |file: &str, line| {
            let mut frame = Frame::new(file, line, "f");
            frame.source = Some("x".into());
            frame
        };
        let mut error = Exception::new("ValueError", "bad");
        error.frames = vec![frame("<turn 1>", 3), frame("/usr/lib/pandas.py", 9)];
        error.traceback = "t".repeat(MAX_ERROR + 1);
        let text = own_traceback(&error);
        assert!(
            text.contains("<turn 1>") && !text.contains("pandas"),
            "{text}"
        );
        assert!(text.ends_with("ValueError: bad"), "{text}");
    }

    #[test]
    fn shortened_text_has_both_ends() {
        let text = shorten(&format!("a{}z", "é".repeat(100)), 10);
        assert!(
            text.starts_with("aéééé\n") && text.ends_with("ééééz"),
            "{text}"
        );
    }
}
