//! Tools in Python: functions, values, events, approval and user input.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codeact::Sandbox;
use codeact::event::{Event, EventSink};
use codeact::sandbox::{Execution, InputHandler, InputResponse, Outcome, Turn, TurnOptions};
use codeact::tools::{Bytes, Tool, ToolFailure, ToolLimits, Tools, ToolsError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::{raised, result, sandbox, sandbox_with_tools, shown};

#[derive(Deserialize, JsonSchema)]
struct Query {
    /// What it is called in the shop
    item: String,
    /// How many
    #[serde(default = "one")]
    n: u32,
}

fn one() -> u32 {
    1
}

#[derive(Serialize, JsonSchema)]
struct Offer {
    price: f64,
    shop: Option<String>,
}

fn price() -> Tool {
    let run = |query: Query| async move {
        match &*query.item {
            "pear" => Ok(1.5 * f64::from(query.n)),
            item => Err(ToolFailure::new(format!("there is no {item} in the shop"))),
        }
    };
    Tool::new("price", "The price of an item in euros.\n\nWith tax.", run).unwrap()
}

/// Returns a tool that accepts anything and returns it.
fn echo() -> Tool {
    let anything = json!({ "type": "object", "additionalProperties": true });
    Tool::with_schema(
        "echo",
        "Returns its arguments",
        anything,
        None,
        |args| async { Ok(args) },
    )
    .unwrap()
}

fn with(tools: impl IntoIterator<Item = Tool>) -> Sandbox {
    let tools = (tools.into_iter()).try_fold(Tools::new(), Tools::tool);
    sandbox_with_tools(tools.unwrap())
}

async fn run(sandbox: &Sandbox, code: &str) -> Execution {
    sandbox.run(code).await.unwrap()
}

#[tokio::test]
async fn a_tool_is_a_function_with_a_signature_hints_and_a_docstring() {
    let sandbox = with([price()]);
    let code = "
import inspect, pydoc, typing
signature = inspect.signature(tools.price)
(str(signature), signature.parameters['item'].annotation is str, signature.return_annotation is float,
 tools.price.__name__, inspect.getdoc(tools.price).splitlines()[0], callable(tools.price.aio),
 inspect.iscoroutinefunction(tools.price.aio), 'How many' in pydoc.render_doc(tools.price),
 list(tools), 'price' in tools, 'price' in dir(tools), tools.price is tools['price'])";
    assert_eq!(
        result(&run(&sandbox, code).await),
        "('(item: str, n: int = 1) -> float', True, True, 'price', 'The price of an item in euros.', \
         True, True, True, ['price'], True, True, True)"
    );
}

#[tokio::test]
async fn calls_return_plain_values_and_failures_have_the_tools_message() {
    let offers = |_: Query| async {
        let offer = |price| Offer { price, shop: None };
        Ok(vec![offer(1.0), offer(2.5)])
    };
    let offers = Tool::new("offers", "", offers).unwrap();
    let sandbox = with([price(), offers]);
    let e = run(&sandbox, "tools.price('pear', n=2), tools.offers(item='x')").await;
    assert_eq!(
        result(&e),
        "(3.0, [{'price': 1.0, 'shop': None}, {'price': 2.5, 'shop': None}])"
    );
    let e = run(&sandbox, "def f():\n    return tools.price('kiwi')\nf()").await;
    assert_eq!(raised(&e, "ToolError"), "there is no kiwi in the shop");
    let Outcome::Raised(error) = &e.outcome else {
        unreachable!()
    };
    // Only frames of the code: the tool's function is hidden.
    assert_eq!(error.frames.len(), 2, "{}", error.traceback);
    let code = "
try: tools.price('kiwi')
except RuntimeError as e: print(type(e).__name__, e.tool)";
    let e = run(&sandbox, code).await;
    assert_eq!(e.stdout.text, "ToolError price\n", "{}", shown(&e));
}

#[tokio::test]
async fn arguments_are_validated_before_the_call() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let schema = json!({
        "type": "object",
        "properties": {
            "item": { "type": "string", "minLength": 2 },
            "of": { "type": "array", "items": { "type": "object", "required": ["kg"] } },
        },
        "required": ["item"],
        "additionalProperties": false,
    });
    let strict = Tool::with_schema("strict", "", schema, None, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(Value::Null) }
    });
    let sandbox = with([strict.unwrap()]);
    for (call, words) in [
        (
            "tools.strict(item=5)",
            "strict: argument `item`: 5 is not of type \"string\"",
        ),
        ("tools.strict(item='x')", "argument `item`"),
        (
            "tools.strict(item='xy', of=[{'kg': 1}, {}])",
            "argument `of`, at 1: \"kg\" is a required",
        ),
        (
            "__import__('_codeact.hostcall').hostcall.call('strict', {})",
            "\"item\" is a required property",
        ),
        (
            "__import__('_codeact.hostcall').hostcall.call('strict', {'item': 'xy', 'b': 1})",
            "'b'",
        ),
    ] {
        let e = run(&sandbox, call).await;
        let message = raised(&e, "ToolArgumentError");
        assert!(message.contains(words), "{call}: {message}");
    }
    let e = run(&sandbox, "tools.strict()").await;
    assert_eq!(
        raised(&e, "TypeError"),
        "strict() missing 1 required positional argument: 'item'"
    );
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let e = run(
        &sandbox,
        "isinstance(ToolArgumentError(), (ToolError, ValueError))",
    )
    .await;
    assert_eq!(result(&e), "True");
}

#[tokio::test]
async fn values_arrive_unchanged() {
    let sandbox = with([echo()]);
    let code = "
import datetime, numpy as np, pandas as pd
sent = dict(a=1, b=-2.5, c='née €', d=None, e=True, f=[1, [2, {}]], g={'x': {'y': []}}, h=2**64 - 1, i=-2**63)
assert tools.echo(**sent) == sent
assert tools.echo(t=(1, 2), s={3, 1}) == {'t': [1, 2], 's': [1, 3]}
assert tools.echo(d=datetime.date(2026, 1, 2)) == {'d': '2026-01-02'}
assert tools.echo(n=np.int64(3), v=np.arange(3), f=np.float32(0.5)) == {'n': 3, 'v': [0, 1, 2], 'f': 0.5}
assert tools.echo(t=pd.DataFrame({'a': [1, 2]})) == {'t': [{'a': 1}, {'a': 2}]}
assert tools.echo(bad='\\ud800') == {'bad': '?'}
refused = []
for bad in (2**64, float('nan'), object(), print):
    try: tools.echo(x=bad)
    except (ValueError, TypeError) as e: refused.append(type(e).__name__)
deep = []
for _ in range(100_000): deep = [deep]
try: tools.echo(x=deep)
except ValueError as e: refused.append(str(e))
refused";
    assert_eq!(
        result(&run(&sandbox, code).await),
        "['ValueError', 'ValueError', 'TypeError', 'TypeError', \
         'the arguments are nested too deeply, or contain themselves']"
    );
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Blob {
    data: Bytes,
}

#[tokio::test]
async fn bytes_are_passed_in_both_directions() {
    let turned = |blob: Blob| async move {
        let mut data = blob.data;
        data.0.reverse();
        Ok(Blob { data })
    };
    let turned = Tool::new("turned", "", turned).unwrap();
    let list = |_: Value| async {
        Ok(json!({ "$bytes": "aGk=", "list": [{ "$bytes": "aGk=" }, { "$bytes": 5 }] }))
    };
    let anything = json!({ "type": "object", "additionalProperties": true });
    let list = Tool::with_schema("list", "", anything, None, list).unwrap();
    let sandbox = with([turned, echo(), list]);
    let code = "
import inspect, os
data = os.urandom(1 << 20)
assert tools.turned(data=data) == {'data': data[::-1]}
assert tools.turned(bytearray(b'ab')) == {'data': b'ba'} == tools.turned(memoryview(b'ab'))
# Keys that look like markers of bytes stay keys.
assert tools.echo(a=b'x', **{'$bytes': 0, 'b': {'$bytes': 0}}) == {'a': 'eA==', '$bytes': 0, 'b': {'$bytes': 0}}
str(inspect.signature(tools.turned)), tools.list()";
    assert_eq!(
        result(&run(&sandbox, code).await),
        "('(data: bytes) -> dict', {'$bytes': 'aGk=', 'list': [b'hi', {'$bytes': 5}]})"
    );
}

#[tokio::test]
async fn calls_that_are_awaited_together_run_concurrently() {
    let together = Arc::new(Barrier::new(20));
    let meet = move |query: Query| {
        let together = together.clone();
        async move {
            // Completes only when all twenty calls have started.
            together.wait().await;
            Ok(query.n)
        }
    };
    let sandbox = with([Tool::new("meet", "", meet).unwrap()]);
    let code = "
import asyncio
await asyncio.gather(*[tools.meet.aio('x', n=n) for n in range(20)])";
    let expected = format!("{:?}", (0..20).collect::<Vec<_>>());
    assert_eq!(result(&run(&sandbox, code).await), expected);
    let code = "
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
with ThreadPoolExecutor() as pool:
    a = list(pool.map(tools.meet, ['x'] * 20, range(20)))
    futures = [pool.submit(tools.meet, 'x', n=n) for n in range(20)]
    b = sorted(f.result() for f in as_completed(futures))
    futures = [pool.submit(tools.meet, item='x', n=n) for n in range(20)]
    c = sorted(f.result() for f in wait(futures).done)
assert a == b == c
a";
    assert_eq!(result(&run(&sandbox, code).await), expected);
}

#[tokio::test]
async fn an_event_loop_has_tasks_timeouts_queues_and_cancellation() {
    let never = |_: Query| async { std::future::pending::<Result<u32, ToolFailure>>().await };
    let sandbox = with([price(), Tool::new("never", "", never).unwrap()]);
    let code = "
import asyncio
async def main():
    events = []
    queue = asyncio.Queue(1)
    async def produce():
        for n in range(3): await queue.put(await tools.price.aio('pear', n=n))
    task = asyncio.create_task(produce())
    for _ in range(3): events.append(await queue.get())
    await task
    try: await asyncio.wait_for(tools.never.aio('x'), 0.01)
    except TimeoutError: events.append('timeout')
    stuck = asyncio.create_task(tools.never.aio('x'))
    await asyncio.sleep(0)
    stuck.cancel()
    try: await stuck
    except asyncio.CancelledError: events.append('cancelled')
    try: await tools.price.aio('kiwi')
    except ToolError as e: events.append(str(e))
    return events
asyncio.run(main()), await main()";
    let events = "[0.0, 1.5, 3.0, 'timeout', 'cancelled', 'there is no kiwi in the shop']";
    assert_eq!(
        result(&run(&sandbox, code).await),
        format!("({events}, {events})")
    );
}

#[tokio::test]
async fn top_level_await_uses_an_event_loop_that_lasts() {
    let mut session = with([price()]).session().unwrap();
    let code = "
import asyncio
lock = asyncio.Lock()
done = []
async def later():
    await asyncio.sleep(0.01)
    done.append('later')
task = asyncio.create_task(later()) if False else None
async with lock:
    pear = await tools.price.aio('pear')
pear";
    assert_eq!(result(&session.run(code).await.unwrap()), "1.5");
    let code = "
task = asyncio.ensure_future(later())
await asyncio.sleep(0)
done";
    assert_eq!(result(&session.run(code).await.unwrap()), "[]");
    // A task that was started in one turn continues when a later one waits for it.
    assert_eq!(
        result(&session.run("await task; done").await.unwrap()),
        "['later']"
    );
    let code = "
async def f():
    return 1 / 0
await f()";
    let e = session.run(code).await.unwrap();
    let Outcome::Raised(error) = &e.outcome else {
        panic!("{}", shown(&e))
    };
    assert_eq!(error.kind, "ZeroDivisionError");
    assert_eq!(error.frames.len(), 2, "{}", error.traceback);
    let e = session.run("await asyncio.Event().wait()").await.unwrap();
    assert!(raised(&e, "RuntimeError").contains("every task waits"));
}

/// Counts its instances.
struct Guard(Arc<AtomicUsize>);

impl Guard {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_end_of_a_turn_drops_its_calls() {
    let there = Arc::new(AtomicUsize::new(0));
    let begun = Arc::new(AtomicUsize::new(0));
    let (count, all) = (there.clone(), begun.clone());
    let hang = move |_: Query| {
        let guard = Guard::new(&count);
        all.fetch_add(1, Ordering::SeqCst);
        async move {
            let _guard = guard;
            std::future::pending::<Result<u32, ToolFailure>>().await
        }
    };
    let all = begun.clone();
    let count = move |_: Query| {
        let count = all.load(Ordering::SeqCst);
        async move { Ok(count) }
    };
    let sandbox = with([
        Tool::new("hang", "", hang).unwrap(),
        Tool::new("count", "", count).unwrap(),
    ]);
    let mut session = sandbox.session().unwrap();
    let dropped = async || {
        while there.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let code = "
import asyncio
calls = [asyncio.ensure_future(tools.hang.aio('x')) for _ in range(3)]
while await tools.count.aio('x') < 3: await asyncio.sleep(0.001)";
    let e = session.run(code).await.unwrap();
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    dropped().await;
    let e = session.run("await asyncio.gather(*calls)").await.unwrap();
    assert!(raised(&e, "ToolError").contains("has ended"));

    let limits = crate::support::limits(|l| l.wall = Duration::from_millis(300));
    let turn = Turn::new("x = 1; tools.hang('x')").limits(limits);
    let e = session.run(turn).await.unwrap();
    assert!(
        matches!(e.outcome, Outcome::TimedOut { .. }),
        "{}",
        shown(&e)
    );
    dropped().await;
    let e = session.run("'x' in globals()").await.unwrap();
    assert_eq!(result(&e), "False");
    assert_eq!(begun.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn each_tool_has_limits_of_its_own() {
    let few = ToolLimits::default()
        .with_calls(3)
        .with_bytes_in(1000)
        .with_bytes_out(1000);
    let short = ToolLimits::default().with_time(Duration::from_millis(20));
    let never = |_: Query| async { std::future::pending::<Result<u32, ToolFailure>>().await };
    let never = Tool::new("never", "", never).unwrap().limits(short);
    let long = |query: Query| async move { Ok("x".repeat(query.n as usize)) };
    let long = Tool::new("long", "", long).unwrap().limits(few);
    let sandbox = with([never, long]);
    let mut session = sandbox.session().unwrap();
    let e = session.run("tools.never('x')").await.unwrap();
    assert_eq!(raised(&e, "ToolError"), "never took longer than 20ms");
    let e = session.run("tools.long('x', n=2000)").await.unwrap();
    assert!(raised(&e, "ToolError").contains("at most 1000"));
    let e = session.run("tools.long('x' * 2000)").await.unwrap();
    assert!(raised(&e, "ToolArgumentError").contains("1000 bytes"));
    let code = "
for n in range(5):
    print(len(tools.long('x', n=n)))";
    let e = session.run(code).await.unwrap();
    assert!(raised(&e, "ToolError").contains("limit of 3 calls"));
    assert_eq!(e.stdout.text, "0\n1\n2\n");
    // The limit applies to each turn.
    assert_eq!(
        result(&session.run("len(tools.long('x'))").await.unwrap()),
        "1"
    );
}

#[tokio::test]
async fn panics_of_tools_do_not_leak_to_the_code() {
    let panics = |_: Query| async { panic!("at /home/me/secret.rs") as Result<u32, ToolFailure> };
    let at_once = |query: Query| {
        if query.n == 1 {
            panic!("at /home/me/secret.rs");
        }
        async { Ok(0_u32) }
    };
    let sandbox = with([
        Tool::new("panics", "", panics).unwrap(),
        Tool::new("at_once", "", at_once).unwrap(),
    ]);
    let mut session = sandbox.session().unwrap();
    for call in [
        "tools.panics('x')",
        "tools.at_once('x')",
        "await tools.panics.aio('x')",
        "await tools.at_once.aio('x')",
    ] {
        let e = session.run(call).await.unwrap();
        let message = raised(&e, "ToolError");
        assert!(!message.contains("secret"), "{message}");
    }
    assert_eq!(result(&session.run("1 + 1").await.unwrap()), "2");
}

#[tokio::test]
async fn names_become_python_names_and_ambiguous_ones_are_rejected() {
    let named = |name: &str| {
        let run = |query: Query| async move { Ok(query.n) };
        Tool::new(name, "", run).unwrap()
    };
    let tools = Tools::new()
        .tool(named("get-weather"))
        .and_then(|tools| tools.tool(named("class")))
        .and_then(|tools| tools.tool(named("shop.all items")))
        .unwrap();
    let e = run(
        &sandbox_with_tools(tools.clone()),
        "tools.get_weather('x'), tools.class_('x'), tools.shop.all_items('x'), list(tools), dir(tools.shop)",
    )
    .await;
    assert_eq!(
        result(&e),
        "(1, 1, 1, ['class_', 'get_weather', 'shop.all_items'], ['all_items'])"
    );
    for (name, words) in [
        ("get weather", "two tools have the name `get_weather`"),
        ("shop", "two tools have the name `shop`"),
        ("class.x", "two tools"),
        ("search", "reserved by `tools` itself"),
        ("describe.x", "reserved by `tools` itself"),
    ] {
        let tools = match name {
            "class.x" => Tools::new()
                .tool(named("class_.y"))
                .unwrap()
                .tool(named("class"))
                .map(drop),
            name => tools.clone().tool(named(name)).map(drop),
        };
        let why = tools.unwrap_err().to_string();
        assert!(why.contains(words), "{name}: {why}");
    }
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Twice {
        #[serde(rename = "user-id")]
        a: String,
        #[serde(rename = "user_id")]
        b: String,
    }
    let twice = Tool::new("twice", "", |_: Twice| async { Ok(1) });
    assert!(matches!(twice, Err(ToolsError::Tool { why, .. }) if why.contains("`user_id`")));
    let number = Tool::new("number", "", |n: i64| async move { Ok(n) });
    assert!(matches!(number, Err(ToolsError::Tool { why, .. }) if why.contains("object")));
}

#[tokio::test]
async fn tools_can_be_searched_and_described() {
    let mut tools = Tools::new();
    for (name, about) in [
        ("github.search_issues", "Finds issues and pull requests"),
        ("github.create_issue", "Opens a new issue"),
        ("mail.send", "Sends a letter"),
    ] {
        let run = |query: Query| async move { Ok(query.n) };
        tools = tools.tool(Tool::new(name, about, run).unwrap()).unwrap();
    }
    let sandbox = sandbox_with_tools(tools);
    let code = "
print(tools.search('find issues'))
print(tools.search('letter'), tools.search('nothing such'))
print(tools.describe('mail.send'))
print(tools.describe(tools.github.create_issue).splitlines()[0])
print(repr(tools.github).splitlines()[1])
for wrong in ('tools.github.serach_issues', 'tools.send', 'tools.describe(\"x\")', 'tools._x'):
    try: eval(wrong)
    except AttributeError as e: print(e)
import tools as same
from tools import mail
same is tools, mail.send('x')";
    let e = run(&sandbox, code).await;
    assert_eq!(result(&e), "(True, 1)");
    assert_eq!(
        e.stdout.text,
        "['github.search_issues: Finds issues and pull requests', 'github.create_issue: Opens a new issue']
['mail.send: Sends a letter'] []
tools.mail.send(item: str, n: int = 1) -> int

Sends a letter

Args:
    item: What it is called in the shop
    n: How many
tools.github.create_issue(item: str, n: int = 1) -> int
  create_issue: Opens a new issue
there is no tool 'github.serach_issues'; did you mean tools.github.search_issues?
there is no tool 'send'; did you mean tools.mail.send?
there is no tool 'x'; available tools: github.create_issue, github.search_issues, mail.send
_x
"
    );
    // A module of the code has precedence.
    let code = "
open('tools.py', 'w').write('mine = 1')
import tools
tools.mine";
    assert_eq!(result(&run(&sandbox, code).await), "1");
}

#[tokio::test]
async fn every_call_is_one_event() {
    let events = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = events.clone();
    let sink = EventSink::new(move |event| {
        if let Event::Tool {
            tool,
            arguments,
            error,
            ..
        } = event
        {
            log.lock().unwrap().push((tool, arguments, error));
        }
    });
    let sandbox = with([price(), echo()]);
    let code = "
tools.price('pear')
try: await tools.price.aio('kiwi')
except ToolError: pass
try: tools.price(5)
except ToolError: pass
_ = tools.echo(x=b'12345')";
    let e = sandbox.run(Turn::new(code).events(sink)).await.unwrap();
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    let calls: Vec<_> = (events.lock().unwrap().iter())
        .map(|(tool, arguments, error)| format!("{tool} {arguments} {error:?}"))
        .collect();
    assert_eq!(
        calls,
        [
            r#"price {"item":"pear"} None"#,
            r#"price {"item":"kiwi"} Some("there is no kiwi in the shop")"#,
            r#"price {"item":5} Some("price: argument `item`: 5 is not of type \"string\"")"#,
            r#"echo {"x":"<5 bytes>"} None"#,
        ]
    );
}

#[tokio::test]
async fn rules_decide_which_calls_need_approval() {
    let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = requests.clone();
    let answers = InputHandler::immediate(move |request: Value| {
        log.lock().unwrap().push(request.to_string());
        async move {
            match request["approve"]["arguments"]["item"].as_str() {
                Some("pear") => Ok(json!(true)),
                _ => Err("only pears, please".to_owned()),
            }
        }
    });
    let rules = ["ask:pri*", "never:echo"].map(|rule| rule.parse().unwrap());
    let tools = Tools::new()
        .tool(price())
        .and_then(|tools| tools.tool(echo()))
        .unwrap()
        .approvals(rules);
    let sandbox = sandbox_with_tools(tools);
    let code = "
said = [tools.price('pear')]
for call in (lambda: tools.price('kiwi'), lambda: tools.echo(x=1)):
    try: call()
    except ToolDenied as e: said.append(str(e))
try: await tools.price.aio('plum')
except ToolDenied as e: said.append(str(e))
said";
    let turn = Turn::new(code).input_handler(answers);
    let e = sandbox.run(turn).await.unwrap();
    assert_eq!(
        result(&e),
        "[1.5, 'only pears, please', 'the approval rules do not allow calls of echo', \
         'only pears, please']"
    );
    assert_eq!(requests.lock().unwrap().len(), 3);
    assert_eq!(
        requests.lock().unwrap()[0],
        r#"{"approve":{"tool":"price","arguments":{"item":"pear"}}}"#
    );
    let e = run(&sandbox, "tools.price('pear')").await;
    assert!(raised(&e, "ToolDenied").contains("no one can be asked"));
}

#[tokio::test]
async fn questions_reach_the_user_and_return_the_answer() {
    let answers = InputHandler::immediate(|request: Value| async move {
        match request["choices"].as_array() {
            Some(_) => Ok(json!("red")),
            None => Ok(json!(format!("{}!", request["question"].as_str().unwrap()))),
        }
    });
    let code = "ask_user('who'), ask_user('what', choices=['red', 'blue']), input('where ')";
    let turn = Turn::new(code).input_handler(answers);
    let e = sandbox().run(turn).await.unwrap();
    assert_eq!(result(&e), "('who!', 'red', 'where !')");
    let e = run(&sandbox(), "ask_user('who')").await;
    assert!(raised(&e, "RuntimeError").contains("no one can be asked"));
    let e = run(&sandbox(), "ask_user('who', choices=[])").await;
    assert!(raised(&e, "ValueError").contains("1 to 100 choices"));
}

#[tokio::test]
async fn the_wall_time_does_not_include_the_wait_for_the_user() {
    // The user always takes longer than the wall time. If a machine is too slow for a limit, a larger one follows.
    for seconds in [1, 4, 16, 64] {
        let wall = Duration::from_secs(seconds);
        let answers = InputHandler::immediate(move |_| async move {
            tokio::time::sleep(wall + Duration::from_millis(100)).await;
            Ok(json!("an answer"))
        });
        let turn = Turn::new("ask_user('who')")
            .input_handler(answers)
            .limits(crate::support::limits(|l| l.wall = wall));
        let e = sandbox().run(turn).await.unwrap();
        if !matches!(e.outcome, Outcome::TimedOut { .. }) {
            assert_eq!(result(&e), "'an answer'");
            return;
        }
    }
    panic!("the wait for the user counts as wall time");
}

#[tokio::test]
async fn a_turn_can_wait_suspended_for_an_approval_and_the_call_is_made_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let buy = move |query: Query| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { Ok(query.n) }
    };
    let rules = ["ask:buy".parse().unwrap()];
    let tools = Tools::new()
        .tool(Tool::new("buy", "", buy).unwrap())
        .and_then(|tools| tools.tool(price()))
        .unwrap()
        .approvals(rules);
    let sandbox = sandbox_with_tools(tools);
    let later = InputHandler::new(|_| async { InputResponse::Later });
    let code = "
x = [tools.price('pear')]
x.append(tools.buy('pear', n=3))
x";
    let turn = Turn::new(code).input_handler(later);
    let e = sandbox.run(turn).await.unwrap();
    assert_eq!(e.outcome, Outcome::Suspended);
    let suspended = e.suspended.unwrap();
    assert_eq!(suspended.request()["approve"]["tool"], "buy");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let resume = |response| suspended.resume(&sandbox, response, TurnOptions::new());
    let (_, e) = resume(InputResponse::Answer(json!(true))).await.unwrap();
    assert_eq!(result(&e), "[1.5, 3]");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let no = InputResponse::Refused("too dear".into());
    let (_, e) = resume(no).await.unwrap();
    assert_eq!(raised(&e, "ToolDenied"), "too dear");
}
