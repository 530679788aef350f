//! Turns that use tools: replayed without tools, and suspended while calls are in progress. The journal has the results,
//! and nothing is called twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codeact::sandbox::{
    Execution, InputHandler, InputResponse, Outcome, Recorder, Recording, SuspendedTurn, Turn,
    TurnOptions,
};
use serde_json::{Value, json};

use super::tools::{RAW, Shop, rules};
use crate::support::{block_on, limits, raised, result, sandbox, sandbox_with_tools, shown};

/// Runs and records `turns` in a session with the tools of `shop`, and replays the recording in a sandbox without tools.
/// Returns the executions.
#[track_caller]
fn replayed(shop: &Shop, turns: Vec<Turn>) -> Vec<Execution> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("recording");
    let with_tools = sandbox_with_tools(shop.tools());
    block_on(async {
        let mut session = with_tools.session().unwrap();
        let recorder = Recorder::create(&file, &session, Value::Null).unwrap();
        session.record(&recorder);
        let mut first = Vec::new();
        for turn in turns {
            first.push(session.run(turn).await.unwrap());
        }
        recorder.finish().unwrap();
        let reached = shop.called();

        let recording = Recording::load(&file).unwrap();
        assert_eq!(recording.turns().len(), first.len());
        let mut replay = recording.start(&sandbox()).unwrap();
        for was in &first {
            // An error if anything differs, including the memory.
            let again = replay.next(TurnOptions::new()).await.unwrap_or_else(|e| {
                panic!("{e}\n{}", shown(was));
            });
            let again = again.expect("a turn");
            assert_eq!(again.outcome, was.outcome);
            assert_eq!(again.stdout.text, was.stdout.text);
            assert_eq!(again.result, was.result);
        }
        assert_eq!(shop.called(), reached, "a tool was called by the replay");
        first
    })
}

/// As [`replayed`], for one turn. Returns its stdout.
#[track_caller]
fn same(code: &str) -> String {
    let shop = Shop::default();
    let mut done = replayed(&shop, vec![shop.turn(code)]);
    let e = done.remove(0);
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    e.stdout.text
}

#[test]
fn turns_with_tools_are_replayed_without_them() {
    let shop = Shop {
        approves: true,
        ..Shop::default()
    };
    let turns = [
        "kept = tools.price('pear'); kept",
        "await __import__('asyncio').gather(*(tools.echo.aio(n=n) for n in range(100)))",
        "import concurrent.futures as c\nwith c.ThreadPoolExecutor() as p: all = list(p.map(tools.price, map(str, range(50))))\nall",
        "tools.echo(b=b'\\x00\\xff', n=[bytearray(3), 0.1, 1e300, -0.0, 2**63, 5e-324, 1/3])",
        "tools.shop.buy('pear'), ask_user('really?')",
        "try: tools.shop.rob('pear')\nexcept ToolDenied as e: print(e)\nkept",
        "tools.price(5)",
        "tools.nope()",
        "kept, dir(tools), tools.describe('price'), tools.search('price')",
        "raw(head('start', 'hang')); raw(b'{\"op\":\"tool.cancel\",\"call\":1}'); raw(head('call', '\\x00', '[]'))",
        "kept['item']",
    ];
    let turns = turns.map(|code| shop.turn(code)).into();
    let done = replayed(&shop, turns);
    raised(&done[6], "ToolArgumentError");
    raised(&done[7], "AttributeError");
    assert_eq!(result(&done[10]), "'pear'");
    assert_eq!(result(&done[4]), "({'item': 'pear'}, 'an answer')");
}

#[test]
fn rejected_calls_are_replayed() {
    let out = same(
        r#"
import asyncio
async def both(): return await asyncio.gather(tools.shop.rob.aio('a'), tools.echo.aio(x=1), return_exceptions=True)
print(asyncio.run(both()))
for name in 'shop.rob', 'shop.buy', 'nope', '$http':
    for op in 'call', 'start': print(raw(head(op, name, '{"item":"a"}')).get('failed'))
print(raw(b'{"op":"tool.wait"}'), tools.echo(x=2))
"#,
    );
    assert!(out.ends_with("{'x': 2}\n"), "{out}");
    assert!(
        out.contains("denied\ndenied\ndenied\ndenied\nunknown\nNone\nunknown\nNone\n"),
        "{out}"
    );
}

#[test]
fn the_deepest_and_unusual_values_can_be_replayed() {
    let out = same(
        r#"
deep = 1
for _ in range(99): deep = {'x': deep}
print(raw(head('call', args=json.dumps(deep)))['value'] == deep)
print('call' in raw(head('start', args=json.dumps(deep))), raw(b'{"op":"tool.wait"}')['value'] == deep)
print(refused(head('call', args=json.dumps({'x': {'x': deep}}))))
odd = {'\0': '\x7f\u2028\U0001f600', '': {'': {}}, '$bytes': [], '$bytes_': {'$bytes': 0}, 'f': [1e22, 0.1 + 0.2, 1e-7]}
print(tools.echo(**odd) == odd)
for x in deep, [[deep]]: raw(b'{"op":"ask","request":%b}' % json.dumps(x).encode())
import os, struct
floats = [f for f, in struct.iter_unpack('d', os.urandom(16_000)) if f == f and abs(f) != float('inf')]
print(tools.echo(f=floats)['f'] == floats)
"#,
    );
    assert_eq!(out, "True\nTrue True\nTrue\nTrue\nTrue\n");
}

#[test]
fn an_answer_is_at_most_as_deep_as_a_recording_supports() {
    let shop = Shop::default();
    let turn = |depth: usize| {
        let answer = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let frame = format!("{{\"op\":\"end\",\"answer\":{{\"value\":{answer}}}}}");
        shop.turn(&format!("raw(b'{frame}')"))
    };
    let done = replayed(&shop, vec![turn(100), turn(101), turn(126)]);
    let answered: Vec<_> = done.iter().map(|e| e.answer.is_some()).collect();
    assert_eq!(answered, [true, false, false]);
}

#[test]
fn a_turn_that_was_stopped_in_a_call_is_replayed() {
    let shop = Shop::default();
    let brief = |code: &str| {
        let turn = shop.turn(code);
        turn.limits(limits(|l| l.wall = Duration::from_millis(500)))
    };
    let turns = vec![
        shop.turn("kept = tools.echo(n=1)"),
        brief("print(tools.echo(n=2)); tools.hang()"),
        brief("import asyncio; print(await asyncio.gather(tools.echo.aio(n=3), tools.hang.aio()))"),
        shop.turn("kept"),
    ];
    let done = replayed(&shop, turns);
    for e in &done[1..3] {
        assert!(
            matches!(e.outcome, Outcome::TimedOut { .. }),
            "{}",
            shown(e)
        );
    }
    assert_eq!(result(&done[3]), "{'n': 1}");
}

/// Suspends `code` at its question, saves it, and resumes it with `response` in a sandbox of `shop` with other rules.
fn suspend_and_resume(shop: &Shop, code: &str, response: InputResponse) -> (Value, Execution) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("suspended");
    let later = InputHandler::new(|_| async { InputResponse::Later });
    let first = sandbox_with_tools(shop.tools());
    // Decisions in the journal stay valid, also if the rules have changed.
    let then = sandbox_with_tools(shop.tools().approvals(rules(&["ask:echo", "never:shop.*"])));
    block_on(async {
        let mut session = first.session().unwrap();
        result(&session.run("kept = 41").await.unwrap());
        let turn = Turn::new(format!("{RAW}\n{code}")).input_handler(later);
        let e = session.run(turn).await.unwrap();
        assert_eq!(e.outcome, Outcome::Suspended, "{}", shown(&e));
        assert_eq!(result(&session.run("kept").await.unwrap()), "41");
        while shop.alive.load(Ordering::SeqCst) != 0 {
            tokio::task::yield_now().await;
        }
        e.suspended.unwrap().save(&file).unwrap();
        let suspended = SuspendedTurn::load(&file).unwrap();
        let resumed = suspended.resume(&then, response, TurnOptions::new());
        let (mut session, e) = resumed.await.unwrap();
        assert_eq!(result(&session.run("kept").await.unwrap()), "41");
        (suspended.request().clone(), e)
    })
}

#[test]
fn a_turn_is_suspended_while_calls_are_in_progress() {
    let shop = Shop::default();
    let code = "
import asyncio
one = await tools.echo.aio(n=1)
async def f():
    tasks = [asyncio.create_task(tools.echo.aio(n=2)), asyncio.create_task(tools.hang.aio())]
    first = await tasks[0]
    answer = ask_user('on?')
    return first, answer, await asyncio.gather(tasks[1], return_exceptions=True)
await f()";
    let (request, e) = suspend_and_resume(&shop, code, InputResponse::Answer(json!("on")));
    assert_eq!(request, json!({ "question": "on?", "choices": null }));
    let cut = "ToolError('the call was running when the turn was suspended, and was aborted; it may or may not \
               have had an effect')";
    assert_eq!(result(&e), format!("({{'n': 2}}, 'on', [{cut}])"));
    // Both were called before the question; neither is called again.
    assert_eq!(shop.reached(), ["echo", "echo"]);
}

#[test]
fn an_approval_that_comes_later_holds_for_its_call_only() {
    let code = "
import asyncio
before = tools.echo(n=1)
async def ends(*calls): return [type(e).__name__ for e in await asyncio.gather(*calls, return_exceptions=True)]
await ends(tools.shop.buy.aio('pear'), tools.shop.buy.aio('apple'), tools.shop.rob.aio('x'))";
    for (response, ends, reached) in [
        (
            InputResponse::Answer(json!(true)),
            "['dict', 'ToolDenied', 'ToolDenied']",
            1,
        ),
        (
            InputResponse::Answer(json!(false)),
            "['ToolDenied', 'ToolDenied', 'ToolDenied']",
            0,
        ),
        (
            InputResponse::Refused("no".into()),
            "['ToolDenied', 'ToolDenied', 'ToolDenied']",
            0,
        ),
    ] {
        let shop = Shop::default();
        let (request, e) = suspend_and_resume(&shop, code, response);
        let arguments = json!({ "item": "pear" });
        assert_eq!(
            request,
            json!({ "approve": { "tool": "shop.buy", "arguments": arguments } })
        );
        assert_eq!(result(&e), ends);
        let bought = shop
            .reached()
            .iter()
            .filter(|name| **name == "shop.buy")
            .count();
        assert_eq!((bought, shop.reached().len()), (reached, reached + 1));
    }
}

#[test]
fn a_refusal_before_the_question_is_replayed() {
    let shop = Shop::default();
    let code = "
def end(f):
    try: return f()
    except ToolError as e: return type(e).__name__
ends = [end(lambda: tools.shop.rob('a')), end(lambda: tools.shop.rob('b')), tools.echo(n=1)]
ends.append(ask_user('on?'))
ends, end(lambda: tools.shop.rob('c'))";
    let (_, e) = suspend_and_resume(&shop, code, InputResponse::Answer(json!("on")));
    assert_eq!(
        result(&e),
        "(['ToolDenied', 'ToolDenied', {'n': 1}, 'on'], 'ToolDenied')"
    );
    assert_eq!(shop.reached(), ["echo"]);
}

#[test]
fn the_deepest_question_can_be_replayed() {
    let shop = Shop::default();
    for (depth, accepted) in [(100, true), (101, false), (126, false)] {
        let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let code = format!("'error' in raw(b'{{\"op\":\"ask\",\"request\":{deep}}}')");
        match accepted {
            true => {
                let (_, e) = suspend_and_resume(&shop, &code, InputResponse::Answer(json!(1)));
                assert_eq!(result(&e), "False");
            }
            false => {
                let asked = Arc::new(AtomicUsize::new(0));
                let count = asked.clone();
                let answers = InputHandler::new(move |_| {
                    count.fetch_add(1, Ordering::SeqCst);
                    async { InputResponse::Later }
                });
                let turn = Turn::new(format!("{RAW}\n{code}")).input_handler(answers);
                let e = block_on(sandbox_with_tools(shop.tools()).run(turn)).unwrap();
                assert_eq!(result(&e), "True");
                assert_eq!(asked.load(Ordering::SeqCst), 0);
            }
        }
    }
}
