//! Attempts to exhaust the host's memory with tool calls. Each runs in its own process, so that its peak memory can be
//! measured.

use std::process::Command;
use std::time::Duration;

use codeact::sandbox::{Execution, InputHandler, InputResponse, Outcome, Turn};
use codeact::tools::Tool;
use serde_json::{Value, json};

use super::tools::{RAW, Shop, anything};
use crate::support::{block_on, result, sandbox_with_tools, shown};

/// Environment variable with the name of the test that a child process runs.
const ALONE: &str = "ATTACKED_ALONE";

/// Limit of the memory of a process with one guest, in MiB.
const BASE: u64 = 450;

/// Runs `body` in its own process, whose peak memory must be below `max` MiB.
fn alone(test: &str, max: u64, body: impl FnOnce()) {
    crate::support::ready();
    if std::env::var_os(ALONE).is_some_and(|name| name == test) {
        body();
        let peak = peak();
        println!("{test}: {peak} MiB");
        assert!(peak < max, "{peak} MiB");
        return;
    }
    let name = format!("attacks::tools_memory::{test}");
    let done = Command::new(std::env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture"])
        .env(ALONE, test)
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&done.stdout);
    let err = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success() && out.contains("1 passed"),
        "{out}{err}"
    );
}

/// Returns the peak memory of this process, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<u64>().unwrap() >> 10
}

/// Runs `code` as a turn that can be suspended, so that its journal is stored in memory.
fn journaled(shop: &Shop, code: &str) -> Execution {
    let sandbox = sandbox_with_tools(shop.tools());
    let answers = InputHandler::new(|_| async { InputResponse::Refused("no".into()) });
    let turn = Turn::new(format!("{RAW}\n{code}")).input_handler(answers);
    block_on(async {
        let mut session = sandbox.session().unwrap();
        let e = session.run(turn).await.unwrap();
        assert_eq!(result(&session.run("1").await.unwrap()), "1");
        e
    })
}

#[test]
fn rejected_calls_without_end() {
    alone("rejected_calls_without_end", BASE, || {
        let shop = Shop::default();
        let code = "
for _ in range(10_000_000): raw(head('call', 'nope')); raw(b'{}'); raw(b'{\"op\":\"tool.wait\",\"ns\":0}'); raw(head('start', 'hang'))";
        let e = shop.attacked(code, |l| l.wall = Duration::from_secs(2));
        assert!(
            matches!(e.outcome, Outcome::TimedOut { .. }),
            "{}",
            shown(&e)
        );
        let e = shop.attacked(code, |l| l.fuel = Some(2_000_000_000));
        assert!(
            matches!(e.outcome, Outcome::OutOfFuel { .. }),
            "{}",
            shown(&e)
        );
    });
}

/// The maximum number of values of a call. They take much more memory than their text.
const HEAVY: &str = "heavy = '{\"x\":[' + ','.join(['{\"a\":0}'] * 66_000) + ']}'\n";

#[test]
fn arguments_of_calls_that_never_complete() {
    alone("arguments_of_calls_that_never_complete", BASE + 300, || {
        let code = "
n = 0
while 'call' in (answer := raw(head('start', 'wait', heavy))): n += 1
print(n > 1, answer['error'])";
        let shop = Shop::default();
        let wait =
            |args: Value| async move { Ok(std::future::pending::<Value>().await.take_or(args)) };
        let tools = shop
            .tools()
            .tool(Tool::with_schema("wait", "", anything(), None, wait).unwrap());
        let e = shop.attacked_with(tools.unwrap(), &format!("{HEAVY}{code}"), |_| ());
        assert_eq!(
            e.stdout.text,
            "True the arguments of the running calls are too large together; wait for some of them first\n",
            "{}",
            shown(&e)
        );
    });
}

/// Keeps the arguments of a call alive until the call completes.
trait TakeOr {
    fn take_or(self, other: Value) -> Value;
}

impl TakeOr for Value {
    fn take_or(self, other: Value) -> Value {
        if self.is_null() { other } else { self }
    }
}

#[test]
fn journaled_arguments_of_a_turn_that_can_be_suspended() {
    let test = "journaled_arguments_of_a_turn_that_can_be_suspended";
    alone(test, BASE + 400, || {
        let shop = Shop::default();
        let code = "
n = 0
while 'error' not in (answer := raw(head('call', 'nope', heavy))): n += 1
print(n > 50, 'used up' in answer['error'])";
        let e = journaled(&shop, &format!("{HEAVY}{code}"));
        assert_eq!(e.stdout.text, "True True\n", "{}", shown(&e));
    });
}

#[test]
fn results_without_a_waiter() {
    alone("results_without_a_waiter", BASE + 400, || {
        let shop = Shop::default();
        let big = |args: Value| async move {
            let n = args["n"].as_u64().unwrap_or(0) as usize;
            Ok(json!("x".repeat(n)))
        };
        let tools = shop
            .tools()
            .tool(Tool::with_schema("big", "", anything(), None, big).unwrap());
        // Reading completed calls lets the others continue.
        let code = "
for n in 1_000_000, 100_000:
    for _ in range(2000): number = raw(head('start', 'big', f'{{\"n\":{n}}}'))['call']
    sizes = [len(raw(b'{\"op\":\"tool.wait\"}')['value']) for _ in range(20)]
    print(set(sizes))
    # Cancelled calls free their memory.
    for n in range(number): raw(b'{\"op\":\"tool.cancel\",\"call\":%d}' % (n + 1))
print(len(tools.big(n=5)))";
        let e = shop.attacked_with(tools.unwrap(), code, |l| l.host_calls = 20_000);
        assert_eq!(e.stdout.text, "{1000000}\n{100000}\n5\n", "{}", shown(&e));
    });
}
