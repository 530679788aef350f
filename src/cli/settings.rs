//! From what was typed, and the environment, to the library's types.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::args::{Global, LimitArgs};
use crate::event::EventSink;
use crate::pack::Requirement;
use crate::sandbox::{Limits, Sandbox, SandboxBuilder};

/// A duration as typed: `10s`, `500ms`, `2m`, `1h`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Time(pub(super) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let seconds = match unit {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => {
                return Err(format!(
                    "unknown unit `{unit}`; use ms, s, m or h, as in 10s"
                ));
            }
        };
        let number: f64 = number
            .parse()
            .map_err(|_| "expected a time such as 10s, 500ms or 2m".to_owned())?;
        Duration::try_from_secs_f64(number * seconds)
            .map(Self)
            .map_err(|_| "the time must be a number of seconds that is not negative".into())
    }
}

/// A size as typed: `256M`, `1G`, `64K`; a bare number is bytes, units are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bytes(pub(super) u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            _ => return Err(format!("unknown unit `{unit}`; use K, M or G, as in 256M")),
        };
        let number: u64 = number
            .parse()
            .map_err(|_| "expected a size such as 256M, 1G or 65536".to_owned())?;
        number
            .checked_mul(1 << shift)
            .map(Self)
            .ok_or_else(|| "the size is too large".into())
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim())
}

/// `K=V`.
pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !text.contains('\0') => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME=VALUE".into()),
    }
}

impl LimitArgs {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            wall: self.timeout.0,
            fuel: self.fuel,
            memory: self.max_memory.0,
            output: self.max_output.0,
            door_calls: self.max_door_calls,
            door_bytes: self.max_door_bytes.0,
            file_bytes: self.max_file_bytes.0,
            files: self.max_files,
            open_files: self.max_open_files,
        }
    }
}

/// Where the user's own settings are: below `CODEACT_HOME`, or in the platform's folder for them.
pub(super) fn config_dir() -> Option<PathBuf> {
    use etcetera::BaseStrategy;

    match std::env::var_os("CODEACT_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Some(home.into()),
        None => Some(
            etcetera::choose_base_strategy()
                .ok()?
                .config_dir()
                .join("codeact"),
        ),
    }
}

/// A sandbox builder as the global options want it, with `packages` beside the pack's own.
pub(super) fn sandbox(
    global: &Global,
    events: EventSink,
    packages: &[Requirement],
) -> SandboxBuilder {
    let builder = Sandbox::builder().offline(global.offline).events(events);
    (packages.iter().cloned()).fold(builder, SandboxBuilder::package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_and_without_units() {
        let time = |t: &str| t.parse::<Time>().map(|t| t.0.as_millis());
        assert_eq!(time("10s"), Ok(10_000));
        assert_eq!(time("500ms"), Ok(500));
        assert_eq!(time("1.5"), Ok(1500));
        assert_eq!(time("2m"), Ok(120_000));
        let size = |t: &str| t.parse::<Bytes>().map(|b| b.0);
        assert_eq!(size("256M"), Ok(256 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("17"), Ok(17));
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["", "s", "-1s", "10 parsecs", "1e400s"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
        for text in ["", "M", "-1", "1.5M", "99999999999G", "3X"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        assert!(key_value("=x").is_err());
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
    }
}
