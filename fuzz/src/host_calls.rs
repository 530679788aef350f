//! Frames of host calls, sent by code in the sandbox.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codeact::Sandbox;
use codeact::sandbox::{InputHandler, Outcome, Turn};
use codeact::tools::{Tool, Tools};
use serde_json::{Value, json};

use super::sandboxes::{block_on, sandbox};

/// Sends each line of `frames`. Each reply is JSON, followed by bytes in some replies.
const SEND: &str = r"
import _host, base64, json
for frame in base64.b64decode(frames).split(b'\n'):
    json.loads(_host.call(frame).partition(b'\0')[0])
";

static WITH_TOOLS: LazyLock<Sandbox> = LazyLock::new(|| {
    let tool = |name: &str| {
        let anything = json!({ "type": "object", "additionalProperties": true });
        Tool::with_schema(
            name,
            "Returns its arguments",
            anything,
            None,
            |args| async { Ok(args) },
        )
        .expect("a tool")
    };
    let rules = ["ask:buy".parse().expect("a rule")];
    let tools = Tools::new()
        .tool(tool("echo"))
        .and_then(|tools| tools.tool(tool("buy")))
        .expect("two tools")
        .approvals(rules);
    let derived = sandbox().derive().tools(tools);
    derived.build().expect("a sandbox with tools")
});

/// Sends each line of `data` as a frame, then checks that the session works.
pub fn host_calls(data: &[u8]) {
    block_on(async {
        let mut session = WITH_TOOLS.session().expect("a session");
        let answers = InputHandler::immediate(|request: Value| async move {
            match request.get("approve") {
                Some(_) => Err("no".to_owned()),
                None => Ok(json!("an answer")),
            }
        });
        let turn = Turn::new(SEND)
            .bind("frames", STANDARD.encode(data))
            .final_answer(true)
            .input_handler(answers);
        let execution = session.run(turn).await.expect("an execution");
        // A frame can report any end, but the interpreter must not fail.
        assert!(
            !matches!(execution.outcome, Outcome::Trapped { .. }),
            "{execution:?}"
        );
        let after = session.run("6 * 7").await.expect("an execution");
        assert_eq!(after.result.as_deref(), Some("42"), "{after:?}");
    });
}
