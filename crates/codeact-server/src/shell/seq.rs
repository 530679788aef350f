//! The command `seq`. That of bashkit stops after 100,000 lines; this one writes while its reader reads.

use bashkit::{Command, CommandContext, CommandStatus, Result, async_trait};

/// Size of one write, in bytes.
const PIECE: usize = 16 << 10;
/// Limit of the digits after the point.
const MAX_DECIMALS: usize = 9;

/// The command `seq`.
pub(super) struct Seq;

/// A parsed command line. Numbers are counted in units of the last digit after the point.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: i128,
    step: i128,
    last: i128,
    decimals: usize,
    separator: String,
    same_width: bool,
}

#[async_trait]
impl Command for Seq {
    async fn execute(&self, context: CommandContext<'_>) -> Result<CommandStatus> {
        let range = match Range::parse(context.args) {
            Ok(range) => range,
            Err(message) => {
                context
                    .stderr
                    .write_all(format!("seq: {message}\n").as_bytes())
                    .await?;
                return Ok(CommandStatus::with_code(1));
            }
        };
        let width = range.width();
        let mut piece = String::new();
        let mut number = range.first;
        let mut is_first = true;
        while range.contains(number) {
            if !std::mem::take(&mut is_first) {
                piece.push_str(&range.separator);
            }
            piece.push_str(&range.text(number, width));
            if piece.len() >= PIECE {
                context.stdout.write_all(piece.as_bytes()).await?;
                piece.clear();
                // A file takes every write at once; the command must come to a point where it can be stopped.
                tokio::task::yield_now().await;
            }
            match number.checked_add(range.step) {
                Some(next) => number = next,
                None => break,
            }
        }
        if !is_first {
            piece.push('\n');
        }
        context.stdout.write_all(piece.as_bytes()).await?;
        Ok(CommandStatus::success())
    }
}

impl Range {
    /// Parses the arguments. The error is a message for the user.
    fn parse(args: &[String]) -> std::result::Result<Self, String> {
        let (mut separator, mut same_width) = ("\n".to_owned(), false);
        let mut numbers = Vec::new();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let is_number = arg.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
                && arg.contains(|c: char| c.is_ascii_digit());
            match arg.as_str() {
                "-w" | "--equal-width" => same_width = true,
                "-s" | "--separator" => {
                    rest.next()
                        .ok_or("-s expects a separator")?
                        .clone_into(&mut separator);
                }
                text if text.starts_with("-s") => {
                    text.get(2..).unwrap_or_default().clone_into(&mut separator);
                }
                _ if is_number => numbers.push(arg),
                other => {
                    return Err(format!(
                        "cannot use {other:?}: expected [-w] [-s SEPARATOR] [FIRST [STEP]] LAST with decimal numbers"
                    ));
                }
            }
        }
        let decimals = |text: &&String| text.split_once('.').map_or(0, |(_, digits)| digits.len());
        let (first, step, last) = match numbers.as_slice() {
            [last] => (None, None, *last),
            [first, last] => (Some(*first), None, *last),
            [first, step, last] => (Some(*first), Some(*step), *last),
            _ => return Err("expected one to three numbers".to_owned()),
        };
        let shown = [first, step].into_iter().flatten();
        let shown = shown.map(|text| decimals(&text)).max().unwrap_or(0);
        let scale = shown.max(decimals(&last));
        if scale > MAX_DECIMALS {
            return Err(format!(
                "a number has more than {MAX_DECIMALS} digits after the point"
            ));
        }
        let one = 10_i128.pow(u32::try_from(scale).unwrap_or(0));
        let units = |text: Option<&String>| text.map_or(Ok(one), |text| units(text, scale));
        let range = Self {
            first: units(first)?,
            step: units(step)?,
            last: units(Some(last))?,
            decimals: scale,
            separator,
            same_width,
        };
        match range.step {
            0 => Err("the step is zero".to_owned()),
            _ => Ok(range),
        }
    }

    fn contains(&self, number: i128) -> bool {
        if self.step > 0 {
            number <= self.last
        } else {
            number >= self.last
        }
    }

    /// Returns the width of the widest number, if all have the same.
    fn width(&self) -> usize {
        match self.same_width {
            true => self
                .text(self.first, 0)
                .len()
                .max(self.text(self.last, 0).len()),
            false => 0,
        }
    }

    fn text(&self, number: i128, width: usize) -> String {
        let sign = if number < 0 { "-" } else { "" };
        let digits = format!("{:0>1$}", number.unsigned_abs(), self.decimals + 1);
        let (whole, rest) = digits.split_at(digits.len() - self.decimals);
        let point = if rest.is_empty() { "" } else { "." };
        let length = sign.len() + digits.len() + point.len();
        format!(
            "{sign}{}{whole}{point}{rest}",
            "0".repeat(width.saturating_sub(length))
        )
    }
}

/// Returns a decimal number in units of its `scale`th digit after the point.
fn units(text: &str, scale: usize) -> std::result::Result<i128, String> {
    let wrong = || format!("{text:?} is not a decimal number of at most 18 digits");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{rest:0<scale$}");
    let is_number = !all.is_empty() && all.len() <= 30 && all.bytes().all(|b| b.is_ascii_digit());
    let number: i128 = all.parse().map_err(|_| wrong())?;
    if is_number && whole.len() <= 18 {
        Ok(sign * number)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::Range;

    fn seq(line: &str) -> Result<String, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let range = Range::parse(&args)?;
        let mut number = range.first;
        let mut all = Vec::new();
        while range.contains(number) {
            all.push(range.text(number, range.width()));
            number += range.step;
        }
        Ok(all.join(&range.separator))
    }

    #[test]
    fn numbers_are_those_of_seq() {
        for (line, expected) in [
            ("3", "1\n2\n3"),
            ("0", ""),
            ("-s , 2 4", "2,3,4"),
            ("-s, 5 -2 1", "5,3,1"),
            ("-w -s , 8 11", "08,09,10,11"),
            ("-s , -1 1", "-1,0,1"),
            ("-s , 0 0.5 1", "0.0,0.5,1.0"),
            ("-s , -0.5 0.25 0", "-0.50,-0.25,0.00"),
        ] {
            assert_eq!(seq(line).as_deref(), Ok(expected), "{line}");
        }
        for line in [
            "",
            "x",
            "1 0 3",
            "1 2 3 4",
            "-f %g 3",
            "1.0000000001",
            "--5",
            "9999999999999999999",
        ] {
            assert!(seq(line).is_err(), "{line}");
        }
    }
}
