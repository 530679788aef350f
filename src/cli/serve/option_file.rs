//! Options in TOML files: a key is the name of an option, and a list gives it several times.
//!
//! The values are parsed by the command line's own parser, so that a file can say what a command line can, with the
//! same errors.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::{Table, Value};

/// Limit of a file, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Reads the file `path`.
pub(super) fn read(path: &Path) -> anyhow::Result<Table> {
    let name = path.display();
    let mut text = String::new();
    let open = std::fs::File::open(path).with_context(|| format!("cannot open {name}"))?;
    let mut bounded = std::io::Read::take(open, MAX_FILE_BYTES + 1);
    std::io::Read::read_to_string(&mut bounded, &mut text)
        .with_context(|| format!("cannot read {name}"))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        bail!("{name} has more than {} MiB", MAX_FILE_BYTES >> 20);
    }
    // The parser's message has the line and the column.
    text.parse()
        .map_err(|e| anyhow::anyhow!("{name} is not valid TOML: {e}"))
}

/// Returns the arguments that give the options of `table` to `command`, without those whose identifiers are in `given`.
pub(super) fn arguments(
    table: &Table,
    command: &Command,
    given: &BTreeSet<String>,
) -> anyhow::Result<Vec<OsString>> {
    let mut arguments = Vec::new();
    for (key, value) in table {
        let name = key.replace('_', "-");
        let Some(option) = find(command, &name) else {
            bail!(
                "there is no option {key}; the options are {}",
                names(command)
            );
        };
        if !given.contains(option.get_id().as_str()) {
            add(&name, option, value, &mut arguments)?;
        }
    }
    Ok(arguments)
}

fn add(
    name: &str,
    option: &Arg,
    value: &Value,
    arguments: &mut Vec<OsString>,
) -> anyhow::Result<()> {
    if is_switch(option) {
        match value {
            Value::Boolean(true) => arguments.push(format!("--{name}").into()),
            Value::Boolean(false) => {}
            _ => bail!("{name} is on or off; expected true or false"),
        }
        return Ok(());
    }
    let mut one = |value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            _ => bail!("{name} has a value that is neither a string nor a number"),
        };
        arguments.push(format!("--{name}={text}").into());
        Ok(())
    };
    match value {
        Value::Array(values) if repeats(option) => values.iter().try_for_each(one),
        Value::Array(_) => bail!("{name} has one value; expected a string or a number, not a list"),
        value => one(value),
    }
}

/// Returns the identifiers of the options that the command line gives.
pub(super) fn given(matches: &ArgMatches) -> BTreeSet<String> {
    let ids = matches.ids().map(|id| id.as_str());
    let on_command_line =
        |id: &&str| matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
    ids.filter(on_command_line).map(str::to_owned).collect()
}

/// Returns the options of `matches` that were given, and that `command` has too, as arguments for it.
pub(super) fn shared_arguments(matches: &ArgMatches, command: &Command) -> Vec<OsString> {
    let given = given(matches);
    let options = command.get_arguments();
    let shared = options.filter(|option| given.contains(option.get_id().as_str()));
    let mut arguments = Vec::new();
    for option in shared {
        let Some(name) = option.get_long() else {
            continue;
        };
        if is_switch(option) {
            arguments.push(format!("--{name}").into());
            continue;
        }
        for value in matches
            .get_raw(option.get_id().as_str())
            .into_iter()
            .flatten()
        {
            let mut argument = OsString::from(format!("--{name}="));
            argument.push(value);
            arguments.push(argument);
        }
    }
    arguments
}

/// Returns the options of `matches` as a file that gives the same ones, each with its help. Options without a value are
/// comments. Those whose names are in `without` are omitted.
pub(super) fn render(matches: &ArgMatches, command: &Command, without: &[&str]) -> String {
    let mut text = String::new();
    let mut heading = None;
    for option in command.get_arguments() {
        let Some(name) = option.get_long().filter(|name| !without.contains(name)) else {
            continue;
        };
        if option.get_help_heading() != heading {
            heading = option.get_help_heading();
            let _ = writeln!(text, "\n## {}", heading.unwrap_or("General"));
        }
        let help = option.get_help().map(ToString::to_string);
        for line in help.unwrap_or_default().lines() {
            let _ = writeln!(text, "\n# {line}");
        }
        let id = option.get_id().as_str();
        let raw = matches.get_raw(id).into_iter().flatten();
        let values: Vec<String> = raw.map(|value| value.to_string_lossy().into()).collect();
        let _ = match (is_switch(option), repeats(option), &*values) {
            (true, ..) => writeln!(text, "{name} = {}", matches.get_flag(id)),
            (_, true, values) => {
                let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
                writeln!(text, "{name} = [{}]", values.join(", "))
            }
            (_, _, []) => writeln!(text, "# {name} ="),
            (_, _, [value, ..]) => writeln!(text, "{name} = {}", scalar(value)),
        };
    }
    text
}

/// Returns `value` as a TOML integer if it is written as one, and as a string otherwise.
fn scalar(value: &str) -> String {
    match value.parse::<i64>() {
        Ok(number) if number.to_string() == value => value.to_owned(),
        _ => quoted(value),
    }
}

fn quoted(value: &str) -> String {
    Value::String(value.to_owned()).to_string()
}

fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    (command.get_arguments()).find(|option| option.get_long() == Some(name))
}

fn names(command: &Command) -> String {
    let names = command.get_arguments().filter_map(Arg::get_long);
    let mut names: Vec<_> = names
        .filter(|name| !["config", "help"].contains(name))
        .collect();
    names.sort_unstable();
    names.join(", ")
}

fn is_switch(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::SetTrue)
}

fn repeats(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}
