//! The commands of the book's page about the API, run by bash against a server.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use codeact::llm::RecordedModel;
use codeact_server::ModelConfig;
use serde_json::json;

use crate::api::api_with;
use crate::support::TOKEN;

const MARK: &str = "--- end of command ---";

/// A command and its expected output.
struct Example {
    command: String,
    output: String,
}

/// Returns the functions of the shell and the examples of the page.
fn page() -> (String, Vec<Example>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/http-api.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (mut functions, mut examples): (_, Vec<Example>) = (String::new(), Vec::new());
    for (i, block) in text.split("```").enumerate() {
        let (language, content) = block.split_once('\n').unwrap_or_default();
        match language {
            "sh" => functions += content,
            "text,api" => {
                for line in content.lines() {
                    match (line.strip_prefix("$ "), examples.last_mut()) {
                        (Some(command), _) => examples.push(Example {
                            command: command.to_owned(),
                            output: String::new(),
                        }),
                        (None, Some(example)) => example.output += &format!("{line}\n"),
                        (None, None) => panic!("output without a command: {line}"),
                    }
                }
            }
            _ => assert!(i % 2 == 0, "a block of another language: {language:?}"),
        }
    }
    (functions, examples)
}

/// Returns true if `text` is `pattern`, in which `[..]` is any text.
fn matches(pattern: &str, text: &str) -> bool {
    let parts: Vec<&str> = pattern.split("[..]").collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return false;
    };
    if parts.len() == 1 {
        return pattern == text;
    }
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for part in &parts[1..parts.len() - 1] {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_have_the_shown_output() {
    let recording = json!({
        "version": 1,
        "exchanges": [{"reply": "```python\nfinal_answer(6 * 7)\n```"}],
    });
    let model = Arc::new(RecordedModel::from_json(&recording.to_string()).unwrap());
    let api = api_with(|config| config.models = vec![ModelConfig::new("recorded", model)]).await;
    let (functions, examples) = page();
    assert!(
        examples.len() > 30,
        "the page has {} examples",
        examples.len()
    );
    let mut script = functions;
    script += &format!("\nCODEACT={} TOKEN={TOKEN}\n", api.served.url);
    for example in &examples {
        script += &format!("{} 2>&1\nprintf '%s\\n' '{MARK}'\n", example.command);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.sh");
    std::fs::write(&file, script).unwrap();
    let path = folder.path().to_owned();
    let run = move || Command::new("bash").arg(file).current_dir(path).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let outputs: Vec<&str> = text.split_terminator(&format!("{MARK}\n")).collect();
    assert_eq!(outputs.len(), examples.len(), "{text}");
    for (example, output) in examples.iter().zip(outputs) {
        let same = matches(example.output.trim_end(), output.trim_end());
        assert!(
            same,
            "$ {}\n{output}\nexpected:\n{}",
            example.command, example.output
        );
    }
}
