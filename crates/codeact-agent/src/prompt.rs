//! The system prompt and the message with the task.
//!
//! The texts are evaluated. Change them only with an evaluation.

use codeact_llm::{Message, Role};
use codeact_pack::{Manifest, SitePackage};
use codeact_sandbox::{Limits, Mount, MountMode};

/// Limit of the preview of the input, in characters.
const MAX_PREVIEW: usize = 800;

/// Packages that the prompt lists if the pack has them, in this order.
const LISTED_PACKAGES: [&str; 12] = [
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "statsmodels",
    "matplotlib",
    "seaborn",
    "sympy",
    "networkx",
    "openpyxl",
    "lxml",
    "beautifulsoup4",
];

/// Limit of the names of a mounted folder in the prompt.
const MAX_NAMES: usize = 20;

/// Properties of the sandbox that the prompt describes.
pub(super) struct PromptContext<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) limits: &'a Limits,
    pub(super) mounts: &'a [Mount],
    pub(super) packages: &'a [SitePackage],
    /// Descriptions of the tools; empty if there are none.
    pub(super) tools: String,
    /// Further information of the toolbox.
    pub(super) about: Option<String>,
    /// True if user input is available.
    pub(super) user_input: bool,
}

/// Returns the system prompt of a run in steps.
pub(super) fn system(context: &PromptContext) -> Message {
    let python = python(context);
    let limits = limits_text(context.limits);
    let tools = tools_and_input(context);
    Message::new(
        Role::System,
        format!(
            "\
You solve tasks by writing Python code. You cannot see results before the code has run, so never \
calculate in your head: let Python do it.

Each reply must be one short sentence and then one code block:

```python
# code
```

The code is run and you get an observation: what it printed, the value of its last expression, or \
its error. Variables stay, so later code can use them. If there is an error, fix the code.

When you have the answer, call `final_answer(value)` in the code. The value can be a number, text, \
list or dict: give it the form that the task asks for, and compute it with Python rather than \
typing the numbers.

Example. Task: Which shop is the cheapest per kg? North: 3 kg for $12, South: 5 kg for $15. Answer as \
JSON with `shop` and `prices`.

I put the data into a dict, compute the price per kg, and choose the lowest.
```python
shops = {{
    \"North\": {{\"kg\": 3, \"price\": 12}},
    \"South\": {{\"kg\": 5, \"price\": 15}},
}}
prices = {{}}
for name, shop in shops.items():
    prices[name] = shop[\"price\"] / shop[\"kg\"]
cheapest = min(prices, key=prices.get)
final_answer({{\"shop\": cheapest, \"prices\": prices}})
```

{python} {limits}{tools}"
        ),
    )
}

/// Describes the functions of the host that the code can call.
fn tools_and_input(context: &PromptContext) -> String {
    let mut text = String::new();
    if !context.tools.is_empty() {
        text += &format!(
            "\n\nThe code can call these functions, in loops and with variables like any other; they are \
             there already, so do not import or define them:\n\n{}\n\nA call that fails raises ToolError. \
             To make many calls at once: `await asyncio.gather(*[tools.NAME.aio(...) for ...])`.",
            context.tools
        );
    }
    if let Some(about) = &context.about {
        text += &format!("\n\n{about}");
    }
    if context.user_input {
        text += "\n\nOnly if the task cannot be done without asking the user, call \
                 ask_user(\"question\") in the code; it returns the answer as text.";
    }
    text
}

/// Returns the system prompt of a run with a single program, whose stdout is the answer.
pub(super) fn system_once(context: &PromptContext) -> Message {
    let python = python(context);
    let limits = limits_text(context.limits);
    let tools = tools_and_input(context);
    Message::new(
        Role::System,
        format!(
            "\
You write one Python program that solves the task. Reply with only the program, in one ```python \
block, without any other text. It is run once; what it prints to stdout is the answer, so print \
exactly what the task asks for and nothing else.

{python} {limits}{tools}"
        ),
    )
}

/// Describes the Python version, the packages and the files.
fn python(context: &PromptContext) -> String {
    let manifest = context.manifest;
    let packages: Vec<_> = LISTED_PACKAGES
        .into_iter()
        .filter(|name| manifest.packages.python.contains_key(*name))
        .chain(context.packages.iter().map(|package| &*package.name))
        .collect();
    let minor: Vec<_> = manifest.python.split('.').take(2).collect();
    format!(
        "The code runs in CPython {} with the standard library, {}; nothing else can be \
         installed. There is no {}shell. {}",
        minor.join("."),
        packages.join(", "),
        if context.about.is_some() {
            ""
        } else {
            "network and no "
        },
        files(context.mounts),
    )
}

/// Describes the mounts.
fn files(mounts: &[Mount]) -> String {
    if mounts.is_empty() {
        return "None of the user's files are there.".into();
    }
    let mut text = "Of the user's files there are".to_owned();
    for (i, mount) in mounts.iter().enumerate() {
        let access = match mount.access() {
            MountMode::ReadOnly => "read-only",
            _ => "can be changed",
        };
        text += if i == 0 { " " } else { "; " };
        text += &match mount.names(MAX_NAMES) {
            None => format!("the file {} ({access})", mount.guest()),
            Some((names, all)) => {
                let rest = if all { "" } else { ", ..." };
                let names = codeact_base::text::one_line(&names.join(", "));
                format!(
                    "the folder {} ({access}), with: {names}{rest}",
                    mount.guest()
                )
            }
        };
    }
    text + "."
}

fn limits_text(limits: &Limits) -> String {
    format!(
        "Each piece of code may run {} seconds and use {} MiB of memory.",
        limits.wall.as_secs_f64(),
        limits.memory >> 20
    )
}

/// Returns the message with the task and a preview of the input.
pub(super) fn task(task: &str, stdin_text: Option<&str>) -> Message {
    let text = match stdin_text {
        None => format!("Task: {task}"),
        Some(input) => format!("Task: {task}\n\n{}", preview(input)),
    };
    Message::new(Role::User, text)
}

fn preview(input: &str) -> String {
    let lines = input.lines().count();
    let begin: String = input.chars().take(MAX_PREVIEW).collect();
    let rest = if begin.len() < input.len() {
        "\n... (shortened; read all of it from the variable)"
    } else {
        ""
    };
    format!(
        "The variable `stdin_text` (a str of {} bytes, {lines} lines) holds the input. \
         It begins:\n{begin}{rest}",
        input.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_has_the_python_version_packages_and_limits() {
        let manifest = Manifest::builtin("science").expect("the default pack");
        let context = PromptContext {
            manifest,
            limits: &Limits::default(),
            mounts: &[],
            packages: &[],
            tools: String::new(),
            about: None,
            user_input: false,
        };
        let text = system(&context).content;
        for part in [
            "CPython 3.15 ",
            "pandas",
            "30 seconds",
            "512 MiB",
            "final_answer",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn a_long_input_has_a_preview_and_its_size() {
        let input = "a,b\n".repeat(1000);
        let text = task("sum", Some(&input)).content;
        assert!(text.contains("4000 bytes, 1000 lines"), "{text}");
        assert!(text.contains("shortened"), "{text}");
        assert!(text.len() < 1200, "{}", text.len());
    }
}
