//! Ways to use up the host's memory with calls of tools. Each runs in a process of its own, so that what
//! is measured is its own.

use std::process::Command;
use std::time::Duration;

use codeact::sandbox::{Answers, Execution, Outcome, Reply, Turn};
use codeact::tools::Tool;
use serde_json::{Value, json};

use super::tools::{RAW, Shop, anything};
use crate::support::{block_on, result, sandbox, shown};

/// Says in whose child this is.
const ALONE: &str = "ATTACKED_ALONE";

/// What a guest's memory and what serves it may take, in MiB.
const BASE: u64 = 450;

/// Runs `body` alone in a process, which must not take more than `most` MiB.
fn alone(test: &str, most: u64, body: impl FnOnce()) {
    crate::support::ready();
    if std::env::var_os(ALONE).is_some_and(|name| name == test) {
        body();
        let peak = peak();
        println!("{test}: {peak} MiB");
        assert!(peak < most, "{peak} MiB");
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

/// The most memory that this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<u64>().unwrap() >> 10
}

/// Runs `code` as a turn that may be put away, so that all it is told is kept.
fn kept(shop: &Shop, code: &str) -> Execution {
    let sandbox = sandbox().tools(shop.tools());
    let answers = Answers::new(|_| async { Reply::Refused("no".into()) });
    let turn = Turn::new(format!("{RAW}\n{code}")).answers(answers);
    block_on(async {
        let mut session = sandbox.session().unwrap();
        let e = session.run(turn).await.unwrap();
        assert_eq!(result(&session.run("1").await.unwrap()), "1");
        e
    })
}

#[test]
fn calls_that_are_refused_for_ever() {
    alone("calls_that_are_refused_for_ever", BASE, || {
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

/// As many values as a call may have, which take much more memory than text.
const HEAVY: &str = "heavy = '{\"x\":[' + ','.join(['{\"a\":0}'] * 66_000) + ']}'\n";

#[test]
fn arguments_of_calls_that_are_never_done() {
    alone("arguments_of_calls_that_are_never_done", BASE + 300, || {
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
            "True the arguments of the calls under way are too large together; wait for some of them first\n",
            "{}",
            shown(&e)
        );
    });
}

/// Keeps the arguments of a call for as long as it lasts.
trait TakeOr {
    fn take_or(self, other: Value) -> Value;
}

impl TakeOr for Value {
    fn take_or(self, other: Value) -> Value {
        if self.is_null() { other } else { self }
    }
}

#[test]
fn arguments_that_are_kept_for_a_turn_that_may_be_put_away() {
    let test = "arguments_that_are_kept_for_a_turn_that_may_be_put_away";
    alone(test, BASE + 400, || {
        let shop = Shop::default();
        let code = "
n = 0
while 'error' not in (answer := raw(head('call', 'nope', heavy))): n += 1
print(n > 50, 'used up' in answer['error'])";
        let e = kept(&shop, &format!("{HEAVY}{code}"));
        assert_eq!(e.stdout.text, "True True\n", "{}", shown(&e));
    });
}

#[test]
fn answers_that_nobody_waits_for() {
    alone("answers_that_nobody_waits_for", BASE + 400, || {
        let shop = Shop::default();
        let big = |args: Value| async move {
            let n = args["n"].as_u64().unwrap_or(0) as usize;
            Ok(json!("x".repeat(n)))
        };
        let tools = shop
            .tools()
            .tool(Tool::with_schema("big", "", anything(), None, big).unwrap());
        // A look at those that are done lets the others go on.
        let code = "
for n in 1_000_000, 100_000:
    for _ in range(2000): number = raw(head('start', 'big', f'{{\"n\":{n}}}'))['call']
    sizes = [len(raw(b'{\"op\":\"tool.wait\"}')['value']) for _ in range(20)]
    print(set(sizes))
    # Those that are given up give their room back.
    for n in range(number): raw(b'{\"op\":\"tool.cancel\",\"call\":%d}' % (n + 1))
print(len(tools.big(n=5)))";
        let e = shop.attacked_with(tools.unwrap(), code, |l| l.door_calls = 20_000);
        assert_eq!(e.stdout.text, "{1000000}\n{100000}\n5\n", "{}", shown(&e));
    });
}
