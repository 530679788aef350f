//! Attacks on tools: malformed calls, floods, calls from unusual places, and attempts to bypass checks. The host makes
//! every check; a turn after the attack calls a tool as before.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codeact::sandbox::{Cancel, Execution, InputHandler, InputResponse, Limits, Outcome, Turn};
use codeact::tools::{ApprovalRule, Bytes, Tool, ToolFailure, ToolLimits, Tools};
use serde_json::{Value, json};

use super::LONG;
use crate::support::{block_on, limits, raised, result, sandbox_with_tools, shown};

/// Python functions that send raw frames and check the responses.
pub(super) const RAW: &str = r#"
import _host, json
def raw(frame):
    head, _, tail = _host.call(frame).partition(b'\0')
    return json.loads(head)
def refused(frame):
    answer = raw(frame)
    return list(answer) == ['error'] or 'failed' in answer
def head(op, tool='echo', args='{}', more=''):
    return f'{{"op":"tool.{op}","tool":"{tool}","args":{args}{more}}}'.encode()
"#;

/// Tools and a log of their calls.
#[derive(Clone, Default)]
pub(super) struct Shop {
    /// Each call that reached a tool.
    pub(super) calls: Arc<Mutex<Vec<(&'static str, Value)>>>,
    /// The number of futures of `hang` that exist.
    pub(super) alive: Arc<AtomicUsize>,
    /// True if requests for approval are approved.
    pub(super) approves: bool,
}

/// Decrements [`Shop::alive`] when a call's future is dropped.
struct Alive(Shop);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) fn anything() -> Value {
    json!({ "type": "object", "additionalProperties": true })
}

pub(super) fn nothing() -> Value {
    json!({ "type": "object", "additionalProperties": false })
}

impl Shop {
    pub(super) fn called(&self) -> Vec<(&'static str, Value)> {
        self.calls.lock().unwrap().clone()
    }

    /// Returns the names of the called tools.
    pub(super) fn reached(&self) -> Vec<&'static str> {
        self.called().into_iter().map(|(name, _)| name).collect()
    }

    fn log(&self, name: &'static str, args: &Value) {
        self.calls.lock().unwrap().push((name, args.clone()));
    }

    /// Returns a tool that logs its calls and returns its arguments.
    pub(super) fn logging(&self, name: &'static str, args: Value) -> Tool {
        let shop = self.clone();
        Tool::with_schema(name, "Returns its arguments", args, None, move |args| {
            shop.log(name, &args);
            async move { Ok(args) }
        })
        .unwrap()
    }

    pub(super) fn tools(&self) -> Tools {
        let item = json!({
            "type": "object",
            "properties": { "item": { "type": "string", "maxLength": 10 } },
            "required": ["item"],
            "additionalProperties": false,
        });
        // A careless schema, without `type: object`.
        let loose = json!({ "properties": { "x": { "type": "integer" } }, "required": ["x"] });
        let shop = self.clone();
        let hang = move |_| {
            let shop = shop.clone();
            async move {
                shop.alive.fetch_add(1, Ordering::SeqCst);
                let _alive = Alive(shop);
                std::future::pending::<()>().await;
                Ok(Value::Null)
            }
        };
        let hang = Tool::with_schema("hang", "Never ends", nothing(), None, hang).unwrap();
        let shop = self.clone();
        let until = move |_| {
            let shop = shop.clone();
            async move {
                while shop.alive.load(Ordering::SeqCst) == 0 {
                    tokio::task::yield_now().await;
                }
                Ok(Value::Null)
            }
        };
        let until = Tool::with_schema("until_hanging", "", nothing(), None, until).unwrap();
        Tools::new()
            .tool(self.logging("price", item.clone()))
            .and_then(|tools| tools.tool(self.logging("echo", anything())))
            .and_then(|tools| tools.tool(self.logging("loose", loose)))
            .and_then(|tools| tools.tool(self.logging("shop.buy", item.clone())))
            .and_then(|tools| tools.tool(self.logging("shop.rob", item)))
            .and_then(|tools| tools.tool(hang))
            .and_then(|tools| tools.tool(until))
            .unwrap()
            .approvals(rules(&["ask:shop.buy", "never:shop.rob"]))
    }

    pub(super) fn turn(&self, code: &str) -> Turn {
        let approves = self.approves;
        let answers = InputHandler::immediate(move |request: Value| async move {
            match request.get("approve") {
                Some(_) => Ok(json!(approves)),
                None => Ok(json!("an answer")),
            }
        });
        Turn::new(format!("{RAW}\n{code}")).input_handler(answers)
    }

    /// Runs `code` in a session, and checks that the session and its tools work afterwards.
    #[track_caller]
    pub(super) fn attacked(&self, code: &str, change: impl FnOnce(&mut Limits)) -> Execution {
        self.attacked_with(self.tools(), code, change)
    }

    #[track_caller]
    pub(super) fn attacked_with(
        &self,
        tools: Tools,
        code: &str,
        change: impl FnOnce(&mut Limits),
    ) -> Execution {
        let sandbox = sandbox_with_tools(tools);
        let turn = self.turn(code).limits(limits(|l| {
            l.wall = LONG;
            l.memory = 300 << 20;
            change(l);
        }));
        let (execution, after) = block_on(async {
            let mut session = sandbox.session().unwrap();
            let e = session.run("kept = 41").await.unwrap();
            assert_eq!(e.outcome, Outcome::Completed);
            let execution = session.run(turn).await.unwrap();
            (execution, session.run(AFTER).await.unwrap())
        });
        assert_eq!(result(&after), "(41, {'item': 'pear'})", "{code}");
        execution
    }

    #[track_caller]
    pub(super) fn attack(&self, code: &str) -> Execution {
        self.attacked(code, |_| ())
    }
}

/// Code that works only if the session and its tools do.
pub(super) const AFTER: &str = "
import builtins, _codeact.tools
(kept, _codeact.hostcall.call('price', {'item': 'pear'}))";

/// Removes the call of [`AFTER`].
fn but_last(mut reached: Vec<&'static str>) -> Vec<&'static str> {
    assert_eq!(reached.pop(), Some("price"));
    reached
}

pub(super) fn rules(texts: &[&str]) -> Vec<ApprovalRule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Runs `code`, which must print nothing and call no tool.
#[track_caller]
fn reaches_nothing(code: &str) {
    let shop = Shop::default();
    let e = shop.attack(code);
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    assert_eq!(e.stdout.text, "", "{}", shown(&e));
    assert_eq!(but_last(shop.reached()), [] as [&str; 0]);
}

/// Runs `code` in a fresh shop. Returns its stdout and the called tools.
#[track_caller]
fn printed(code: &str) -> (String, Vec<&'static str>) {
    let shop = Shop::default();
    let e = shop.attack(code);
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    (e.stdout.text, but_last(shop.reached()))
}

#[test]
fn malformed_frames_call_nothing() {
    reaches_nothing(
        r#"
frames = [b'{"op":"tool', b'{"op":"tool"', b'{"op":"tool"}', b'{"op":"tools', b'{"op":"toolsx"}',
    b'{"op":"tool.call"}', b'{"op":"tool.start"}', b'{"op":"tool.sing","tool":"echo","args":{}}',
    b'{"op":"tool.call","tool":"echo"}', b'{"op":"tool.call","tool":1,"args":{}}',
    b'{"op":"tool.call","tool":null,"args":{}}', b'{"op":"tool.call","tool":["echo"],"args":{}}',
    b'{"op":"tool.call","op":"tool.call","tool":"echo","args":{}}',
    b'{"op":"tool.call","tool":"echo","tool":"echo","args":{}}',
    b'{"op":"tool.call","tool":"echo","args":{},"args":{}}',
    b'{"op":"tool.call","tool":"echo","args":{}}{}', b'{"op":"tool.call","tool":"echo","args":{}},',
    b'{"op":"tool.call","tool":"echo","args":{},}', b'{"op":"tool.call","tool":"echo","args":{}',
    b'{"op":"tool\\u002ecall","tool":"echo","args":{}}', b'{"op":"tool.call\xff","tool":"echo","args":{}}',
    b'{"op":"tool.call","tool":"\xc3","args":{}}', b'{"op":"tool.call","tool":"\\ud800","args":{}}',
    b'{"op":"tool.call","tool":"echo","args":{"\\udfff":1}}', b'{"op":"tool.call","tool":"echo","args":{"x":1e999}}',
    b'{"op":"tool.wait","ns":-1}', b'{"op":"tool.wait","ns":1.5}', b'{"op":"tool.wait","ns":"1"}',
    b'{"op":"tool.wait","ns":99999999999999999999}', b'{"op":"tool.cancel","call":-1}',
    b'{"op":"tool.cancel","call":4294967296}', b'{"op":"tool.cancel","call":null}',
    b'{"op":"tool.describe"}', b'{"op":"tool.describe","tool":""}', b'{"op":"tool.describe","tool":"nope"}',
    b'{"op":"tools","tool":5}', b'{"op":"tools","blobs":{}}']
for op in 'call', 'start':
    for args in '1', '"x"', 'null', '[]', 'true', '[{}]', '{', '{"a":}', '{a:1}', "{'a':1}", 'NaN', '{"a":NaN}', '':
        frames.append(head(op, args=args))
for frame in frames:
    if not refused(frame): print(frame, raw(frame))
"#,
    );
}

#[test]
fn unknown_fields_and_duplicate_keys_have_no_effect() {
    let shop = Shop::default();
    let e = shop.attack(
        r#"
raw(b'{"op":"tool.call","tool":"echo","approved":true,"gate":"open","args":{"a":1,"a":2},"x":[[[]]]}')
raw(b'{"op":"tool.call","args":{"tool":"shop.buy"},"tool":"echo","number":5}')
print(refused(b'{"op":"tool.call","approved":true,"tool":"shop.buy","args":{"item":"x"}}'))
"#,
    );
    assert_eq!(e.stdout.text, "True\n", "{}", shown(&e));
    let echoed = json!({ "a": 2 });
    assert_eq!(shop.called()[0], ("echo", echoed));
    assert_eq!(shop.called()[1], ("echo", json!({"tool": "shop.buy"})));
    assert_eq!(but_last(shop.reached()), ["echo", "echo"]);
}

#[test]
fn blobs_with_wrong_sizes_call_nothing() {
    reaches_nothing(
        r#"
def blobs(sizes, tail=b'', marker='"m"', args='{"x":{"m":0}}'):
    return head('call', args=args, more=f',"blobs":{sizes},"marker":{marker}') + tail
for frame in [
    blobs('[1]'), blobs('[1]', b'\0'), blobs('[1]', b'\0ab'), blobs('[2]', b'\0a'), blobs('[]', b'\0a'),
    blobs('[4294967295]', b'\0a'), blobs('[4294967296]', b'\0a'), blobs('[4294967295,4294967295]', b'\0ab'),
    blobs('[-1]', b'\0a'), blobs('[1.0]', b'\0a'), blobs('[1e0]', b'\0a'), blobs('["1"]', b'\0a'),
    blobs('[null]', b'\0a'), blobs('[[1]]', b'\0a'), blobs('1', b'\0a'), blobs('null', b'\0a'),
    blobs('{"0":1}', b'\0a'), blobs('[1,-1]', b'\0'), blobs('[18446744073709551615]', b'\0a'),
    blobs('[1]', b'\0a', 'null'), blobs('[1]', b'\0a', '5'), blobs('[1]', b'\0a', '["m"]'),
    blobs('[1]', b'\0a', '"\\ud800"'), blobs('[1]', b'\0a', '{}'),
    blobs('[' + ','.join('0' * 10001) + ']', b'\0'), blobs('[1],"blobs":[1]', b'\0a'),
    b'\0' + blobs('[1]', b'\0a'), blobs('[0]', b'\0\0'),
]:
    if not refused(frame): print(frame[:100], raw(frame))
"#,
    );
}

#[test]
fn blobs_with_unusual_markers_stay_within_the_call() {
    let (out, reached) = printed(
        r#"
from base64 import b64encode
def echo(args, sizes, tail, marker):
    more = f',"blobs":{sizes},"marker":{json.dumps(marker)}'
    return raw(head('call', args=json.dumps(args), more=more) + b'\0' + tail).get('value')
for marker in '', '\0', 'x', '$bytes', '__proto__', 'é' * 10000, '{"', '"', '\\', '$bytes_':
    args = {'a': {marker: 0}, 'b': [{marker: 1}], 'c': {marker: 0, 'y': 1}, 'd': {marker: -1}, 'e': {marker: 7},
        'f': {marker: 1.0}, 'g': {marker: '0'}, 'h': {marker: None}, 'i': {marker: {marker: 1}}, 'j': {marker: 2**64}}
    value = echo(args, [1, 2], b'abc', marker)
    expected = args | {'a': 'YQ==', 'b': ['YmM=']}
    if value != json.loads(json.dumps(expected | {'j': {marker: float(2**64)}})): print(repr(marker)[:20], value)
# Without a marker for them, and with a marker of another number.
print(echo({'x': 1}, [3], b'abc', 'm'), echo({'x': {'m': 3}}, [3], b'abc', 'm'))
"#,
    );
    assert_eq!(out, "{'x': 1} {'x': {'m': 3}}\n");
    assert_eq!(reached.len(), 12);
}

#[test]
fn arguments_that_consist_of_one_blob_are_rejected() {
    // For the schema they would be a string, to which `required` and `properties` do not apply.
    reaches_nothing(
        r#"
for tool in 'loose', 'echo', 'price':
    for op in 'call', 'start':
        frame = head(op, tool, '{"m":0}', ',"blobs":[3],"marker":"m"') + b'\0abc'
        if not refused(frame): print(tool, op)
"#,
    );
}

#[test]
fn a_blob_that_is_referenced_many_times_is_not_copied_many_times() {
    let shop = Shop::default();
    let e = shop.attack(
        r#"
args = '{"x":[' + ','.join(['{"m":0}'] * 99_000) + ']}'
frame = head('start', args=args, more=',"blobs":[8000000],"marker":"m"') + b'\0' + bytes(8_000_000)
print(raw(frame).get('call'), refused(head('call', args='{"x":[' + '{"m":0},' * 100_000 + '0]}')))
"#,
    );
    assert_eq!(e.stdout.text, "1 True\n", "{}", shown(&e));
    let bytes: usize = (shop.called().iter())
        .map(|(_, args)| args.to_string().len())
        .sum();
    assert!(bytes < 15_000_000, "{bytes}");
}

#[test]
fn a_frame_over_the_size_limit_is_rejected() {
    let (out, reached) = printed(
        r#"
frame = bytearray(head('call', args='{"x":"' + 'a' * (32 * 2**20) + '"}'))
print(raw(bytes(frame)))
print('used up' in str(raw(head('call'))))
"#,
    );
    assert_eq!(
        out,
        "{'error': 'a request to the host may have 33554432 bytes, this one has 33554480'}\nFalse\n"
    );
    assert_eq!(reached, ["echo"]);
}

#[test]
fn too_many_values_are_rejected() {
    let (out, reached) = printed(
        r#"
for args in ({'x': [0] * 3_000_000}, {'x': [[]] * 1_000_000}, {'x': {str(i): i for i in range(400_000)}},
        {'x': [{'a': 0}] * 100_000}):
    try: tools.echo(**args)
    except ToolError as e: print(e)
"#,
    );
    let line =
        "the arguments of a call may have 200000 values; bytes are one, whatever their size\n";
    assert_eq!(out, line.repeat(4));
    assert_eq!(reached, [] as [&str; 0]);
}

#[test]
fn values_without_a_json_form_are_python_errors() {
    let (out, reached) = printed(
        r#"
import decimal, fractions
def why(make):
    try: return tools.echo(x=make())
    except Exception as e: return type(e).__name__
loop = []; loop.append(loop)
ring = {}; ring['r'] = ring
deep = []
for _ in range(5_000): deep = [deep]
half = '\ud800'
class Text(str): pass
class Number(int):
    def __repr__(self): return '1, "item": 2'
class Real(float):
    def __repr__(self): return 'NaN'
for make in (lambda: 10**5000, lambda: 2**64, lambda: -2**63 - 1, lambda: float('nan'), lambda: float('inf'),
        lambda: loop, lambda: ring, lambda: deep, object, lambda: print, lambda: {(1, 2): 3}, lambda: 1j):
    print(why(make), end=' ')
print(why(lambda: half), why(lambda: {half: half}), why(lambda: 2**64 - 1), why(lambda: -2**63), why(lambda: 5e-324))
print(why(lambda: {1: 2, None: 3, True: 4}), why(lambda: Text('t')), why(lambda: Number(7)), why(lambda: Real(2)))
del deep
"#,
    );
    assert_eq!(
        out,
        "ValueError ValueError ValueError ValueError ValueError ValueError ValueError ValueError TypeError \
         TypeError TypeError TypeError {'x': '?'} {'x': {'?': '?'}} {'x': 18446744073709551615} {'x': \
         -9223372036854775808} {'x': 5e-324}\n{'x': {'1': 4, 'null': 3}} {'x': 't'} {'x': 7} {'x': 2.0}\n"
    );
    assert_eq!(reached.len(), 9);
}

#[test]
fn deeply_nested_values_are_rejected() {
    reaches_nothing(
        r#"
for n in 101, 120, 127, 128, 200, 10_000, 1_000_000:
    for a, b in (('[', ']'), ('{"x":', '}')):
        depth = a * n + ('1' if a != '[' else '') + b * n
        if n < 200_000 and not refused(head('call', args='{"x":' + depth + '}')): print(n, a)
        if not refused(head('start', args='{"x":' + a * min(n, 190_000))): print('open', n, a)
x = 1
for _ in range(150): x = [x]
try: print(tools.echo(x=x))
except ToolError: pass
"#,
    );
}

#[test]
fn calls_work_from_every_place_in_python() {
    let (out, reached) = printed(
        r#"
import asyncio, sys
out = []
def call(where):
    out.append(tools.echo(where=where)['where'])
class Dying:
    def __del__(self): call('del')
Dying()
def closing():
    try: yield
    finally: call('close')
g = closing(); next(g); g.close(); del g
class Shown(list):
    def __repr__(self): call('repr'); return 'r'
repr(Shown())
class Set(set):
    def __iter__(self): call('default'); return iter([1])
print(tools.echo(s=Set([1])))
class Key:
    def __eq__(self, other): call('eq'); return True
    def __hash__(self): return 1
{Key(): 1}[Key()]
sys.settrace(lambda *a: (sys.settrace(None), call('trace'))[0]); (lambda: 0)()
sys.settrace(None)
async def callback():
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    def back(): call('callback'); done.set_result(None)
    loop.call_soon(back)
    await done
await callback()
async def outer():
    loop = asyncio.new_event_loop()
    try: loop.run_until_complete(tools.echo.aio(where='inner'))
    except RuntimeError as e: out.append('nested')
    finally: loop.close()
    return await tools.echo.aio(where='outer')
import warnings; warnings.simplefilter('ignore')
await outer()
print(out)
"#,
    );
    assert_eq!(
        out,
        "{'s': [1]}\n['del', 'close', 'repr', 'default', 'eq', 'trace', 'callback', 'nested']\n"
    );
    assert_eq!(reached.len(), 9);
}

#[test]
fn calls_at_the_end_of_a_turn_and_in_its_traceback_work() {
    let shop = Shop::default();
    let e = shop.attack(
        "
class E(Exception):
    def __str__(self): tools.echo(where='str'); return 'text'
raise E",
    );
    assert_eq!(raised(&e, "E"), "text");
    let e = shop
        .attack("class A:\n    def __repr__(self): return str(tools.echo(where='result'))\nA()");
    assert_eq!(result(&e), "{'where': 'result'}");
    let e = shop.attack(
        "
def forever(): yield from iter(lambda: tools.echo(where='gen'), None)
g = forever(); next(g)
class Out:
    def write(self, text): return len(text)
    def flush(self): tools.echo(where='flush')
import sys; sys.stdout = Out()",
    );
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    let at_exit = "
import atexit
atexit.register(lambda: tools.echo(where='exit'))
atexit.register(lambda: print(_codeact.hostcall.start('hang', {}, None)))
import _codeact.hostcall";
    let once = sandbox_with_tools(shop.tools());
    let e = block_on(once.run(at_exit)).unwrap();
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    assert!(shop.called().contains(&("echo", json!({"where": "exit"}))));
}

#[test]
fn twenty_thousand_calls_without_a_waiter_end_with_the_turn() {
    let shop = Shop::default();
    let e = shop.attacked(
        r#"
started = why = 0
for _ in range(20_000):
    answer = raw(head('start', 'hang'))
    if 'call' in answer: started += 1
    elif not why: why = answer['error']
print(started, why)
"#,
        |l| l.host_calls = 30_000,
    );
    assert_eq!(
        e.stdout.text,
        "10000 10000 calls are running; wait for some of them first\n"
    );
    assert_eq!(shop.alive.load(Ordering::SeqCst), 0);
}

#[test]
fn waiting_without_calls_and_cancelling_unknown_calls_have_no_effect() {
    reaches_nothing(
        r#"
from _codeact import hostcall
for ns in 'null', '0', '1', '18446744073709551615':
    if raw(b'{"op":"tool.wait","ns":%b}' % ns.encode()) != {}: print(ns)
if raw(b'{"op":"tool.wait"}') != {} or hostcall.wait(None) or hostcall.wait(1e9): print('waited')
for number in 0, 1, 2**32 - 1:
    if raw(b'{"op":"tool.cancel","call":%d}' % number) != {}: print(number)
    hostcall.cancel(number)
number = raw(head('start', 'hang'))['call']
for _ in range(3): raw(b'{"op":"tool.cancel","call":%d}' % number)
if raw(b'{"op":"tool.wait"}') != {}: print('waited')
"#,
    );
}

#[test]
fn a_waiter_of_an_invented_call_receives_an_error() {
    let (out, _) = printed(
        r#"
import asyncio
from _codeact import hostcall
class Waiter:
    def done(self, value): print('done')
    def failed(self, error): print(type(error).__name__, error)
hostcall.pending[77] = Waiter(), 'echo'
async def never(): await asyncio.get_running_loop().create_future()
try: asyncio.run(never())
except RuntimeError as e: print(e)
"#,
    );
    assert_eq!(
        out,
        "ToolError this turn's limit of 10000 calls to the host is used up\nevery task waits for another: \
         nothing can ever wake this event loop\n"
    );
}

#[test]
fn closing_an_event_loop_with_open_calls_is_harmless() {
    let (out, _) = printed(
        r#"
import asyncio, concurrent.futures
loop = asyncio.new_event_loop()
tasks = [loop.create_task(tools.echo.aio(n=n)) for n in range(50)]
loop.call_soon(loop.stop); loop.run_forever()
loop.close()
async def three(): return await asyncio.gather(*(tools.echo.aio(n=n) for n in range(3)))
print(asyncio.run(three()))
pool = concurrent.futures.ThreadPoolExecutor()
lost = [pool.submit(tools.echo, n=n) for n in range(50)]
del pool
print(lost[-1].result())
async def cut():
    task = asyncio.create_task(tools.hang.aio()); await asyncio.sleep(0); task.cancel()
    try: await task
    except asyncio.CancelledError: print('cancelled')
    try: await asyncio.wait_for(tools.hang.aio(), 0.01)
    except TimeoutError: print('late')
asyncio.run(cut())
import gc, warnings; warnings.simplefilter('ignore'); del tasks, loop; gc.collect()
"#,
    );
    assert!(
        out.ends_with("[{'n': 0}, {'n': 1}, {'n': 2}]\n{'n': 49}\ncancelled\nlate\n"),
        "{out}"
    );
}

/// Runs `code`, which starts a call of `hang`. If `cancels`, cancels the turn once the call is in progress. Returns the
/// execution when the call has been dropped.
fn dropped(code: &str, wall: Duration, cancels: bool) -> (Execution, Shop) {
    let shop = Shop::default();
    let sandbox = sandbox_with_tools(shop.tools());
    let cancel = Cancel::new();
    let turn = shop.turn(code).cancel(cancel.clone());
    let turn = turn.limits(limits(|l| l.wall = wall));
    let execution = block_on(async {
        let mut session = sandbox.session().unwrap();
        session.run("kept = 41").await.unwrap();
        let watch = async {
            while cancels && shop.alive.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            if cancels {
                cancel.cancel();
            }
        };
        let (execution, ()) = tokio::join!(session.run(turn), watch);
        // Started calls are dropped in this runtime.
        while shop.alive.load(Ordering::SeqCst) != 0 {
            tokio::task::yield_now().await;
        }
        let after = session.run(AFTER).await.unwrap();
        assert_eq!(result(&after), "(41, {'item': 'pear'})");
        execution.unwrap()
    });
    (execution, shop)
}

#[test]
fn a_call_is_dropped_with_a_turn_that_is_stopped() {
    let brief = Duration::from_secs(1);
    for code in [
        "kept = 5; tools.hang()",
        "import asyncio; kept = 5\nasync def f(): return await asyncio.gather(*(tools.hang.aio() for _ in range(5)))\nawait f()",
        "kept = 5; _codeact.hostcall.start('hang', {}, None)\nwhile True: pass",
    ] {
        let code = format!("import _codeact.hostcall\n{code}");
        let (e, _) = dropped(&code, brief, false);
        assert_eq!(
            e.outcome,
            Outcome::TimedOut { limit: brief },
            "{}",
            shown(&e)
        );
        assert!(e.rolled_back);
        let (e, _) = dropped(&code, LONG, true);
        assert_eq!(e.outcome, Outcome::Cancelled, "{}", shown(&e));
        assert!(e.rolled_back);
    }
}

#[test]
fn a_call_is_dropped_with_a_turn_that_ends() {
    let wait_until_it_is_there = "raw(head('start', 'hang')); raw(head('call', 'until_hanging'))";
    for (end, outcome) in [
        ("", Outcome::Completed),
        ("\nimport sys; sys.exit(3)", Outcome::Exited { code: 3 }),
        ("\nimport os; os._exit(3)", Outcome::Exited { code: 3 }),
    ] {
        let (e, _) = dropped(&format!("{wait_until_it_is_there}{end}"), LONG, false);
        assert_eq!(e.outcome, outcome, "{}", shown(&e));
    }
    let (e, _) = dropped(
        &format!("{wait_until_it_is_there}\nimport os; os.abort()"),
        LONG,
        false,
    );
    assert!(
        matches!(e.outcome, Outcome::Trapped { .. }),
        "{}",
        shown(&e)
    );
}

#[test]
fn dropping_a_turn_drops_its_call() {
    let shop = Shop::default();
    let sandbox = sandbox_with_tools(shop.tools());
    block_on(async {
        let mut session = sandbox.session().unwrap();
        session.run("kept = 41").await.unwrap();
        let in_progress = async {
            while shop.alive.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            e = session.run("kept = 5; tools.hang()") => panic!("it ended: {e:?}"),
            () = in_progress => {}
        }
        while shop.alive.load(Ordering::SeqCst) != 0 {
            tokio::task::yield_now().await;
        }
        let after = session.run(AFTER).await.unwrap();
        assert_eq!(result(&after), "(41, {'item': 'pear'})");
    });
}

#[test]
fn modifying_the_guests_tools_module_bypasses_no_check() {
    // Each restores its session's Python at the end, because the next turn uses it.
    for code in [
        "import builtins; del builtins.tools",
        "tools = 5",
        "import tools as t; import sys; sys.modules['tools'] = 5",
        "_codeact.tools._functions['shop.buy'] = _codeact.tools._functions['price'] = print",
        "f = tools.price; f.__code__ = (lambda item=5: 'fooled').__code__",
        "_codeact.user_input.asks = True",
        "_codeact.hostcall.ask = lambda request: True",
        "_codeact.tools._names.known = {'shop.buy': ''}; _codeact.tools._list = {'shop.buy': ''}",
        "_codeact.hostcall._check = lambda *a: None",
        "_codeact.hostcall.ToolDenied.__init__ = lambda *a: 1 / 0",
        "_codeact.hostcall.pending[1] = (None, None)",
        "type(tools).__getattr__ = lambda self, name: 'fooled'",
    ] {
        let shop = Shop::default();
        let e = shop.attack(&format!(
            r#"
import _codeact.hostcall, _codeact.tools, _codeact.user_input
original = dict(vars(_codeact.hostcall))
kind = type(tools)
lookup = kind.__getattr__
{code}
for tool, args in (('shop.buy', '{{"item":"x"}}'), ('shop.rob', '{{"item":"x"}}'), ('price', '{{"item":5}}'),
        ('price', '{{}}'), ('price', '{{"item":"x","more":1}}'), ('price', '{{"item":"' + 'x' * 11 + '"}}')):
    answer = raw(head('call', tool, args)), raw(head('start', tool, args))
    started = answer[1].get('call') and raw(b'{{"op":"tool.wait"}}')
    if not ('failed' in answer[0] and ('failed' in answer[1] or 'failed' in started)): print(tool, args, answer)
vars(_codeact.hostcall).update(original)
if kind.__getattr__ is not lookup: kind.__getattr__ = lookup
_codeact.hostcall.pending.clear()
"#
        ));
        assert_eq!(e.outcome, Outcome::Completed, "{code}: {}", shown(&e));
        assert_eq!(e.stdout.text, "", "{code}");
        assert_eq!(but_last(shop.reached()), [] as [&str; 0], "{code}");
    }
}

/// Python code that calls `shop.buy` in every way.
const WAYS: &str = r#"
import asyncio, concurrent.futures, threading
from _codeact import hostcall
class Waiter:
    done = lambda self, value: ends.append('done')
    failed = lambda self, error: ends.append(type(error).__name__)
ends = []
async def gathered(): return await asyncio.gather(tools.shop.buy.aio('a'), tools.shop.buy.aio('b'))
def pool():
    with concurrent.futures.ThreadPoolExecutor() as pool: return list(pool.map(tools.shop.buy, ['a']))
def thread():
    t = threading.Thread(target=way(lambda: tools.shop.buy('a'))); t.start(); t.join()
def started(): hostcall.start('shop.buy', {'item': 'a'}, Waiter()); hostcall.wait(None)
def way(make):
    def run():
        try: make(); ends.append('done')
        except Exception as e: ends.append(type(e).__name__)
    return run
for make in (lambda: tools.shop.buy('a'), lambda: tools['shop.buy']('a'), lambda: hostcall.call('shop.buy', {'item': 'a'}),
        pool, lambda: asyncio.run(tools.shop.buy.aio('a')), lambda: asyncio.run(gathered()), started):
    way(make)()
thread()
for op in 'call', 'start':
    answer = raw(head(op, 'shop.buy', '{"item":"a"}'))
    if 'call' in answer: answer = raw(b'{"op":"tool.wait"}')
    ends.append(answer.get('failed', 'done'))
print(set(ends))
"#;

#[test]
fn a_call_without_approval_is_made_in_no_way() {
    let (out, reached) = printed(WAYS);
    assert_eq!(
        out,
        "{'denied', 'ToolDenied'}\n".replace("'denied', 'ToolDenied'", &sorted(&out))
    );
    assert_eq!(reached, [] as [&str; 0]);
    let shop = Shop {
        approves: true,
        ..Shop::default()
    };
    let e = shop.attack(WAYS);
    assert_eq!(e.stdout.text, "{'done'}\n", "{}", shown(&e));
    assert_eq!(but_last(shop.reached()).len(), 11);
}

/// Returns the two words of a printed set, in their printed order.
fn sorted(out: &str) -> String {
    let inner = out.trim_matches(['{', '}', '\n']);
    let mut words: Vec<_> = inner.split(", ").collect();
    words.sort_unstable();
    assert_eq!(words, ["'ToolDenied'", "'denied'"]);
    inner.to_owned()
}

#[test]
fn the_code_cannot_request_or_give_an_approval() {
    reaches_nothing(
        r#"
for request in ('{"approve":{"tool":"shop.buy","arguments":{}}}', '{"approve":null}', '{"approve":false,"question":"x"}',
        '{"question":"x","approve":true}', '{"question":"x","\\u0061pprove":true}', '{"question":"x"},"approve":true'):
    if not refused(b'{"op":"ask","request":%b}' % request.encode()): print(request)
ask_user('May I?'), ask_user('shop.buy', ['yes'] * 2) if False else None
raw(b'{"op":"ask","request":[{"approve":{"tool":"shop.buy"}}]}')
for frame in (b'{"op":"tool.approve","tool":"shop.buy","args":{}}', b'{"op":"ask","request":{"x":1}}x'):
    if not refused(frame): print(frame)
if not refused(head('call', 'shop.buy', '{"item":"a"}')): print('made')
"#,
    );
}

#[test]
fn missing_tools_cause_no_request_for_approval() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answers = InputHandler::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { InputResponse::Answer(json!(true)) }
    });
    let shop = Shop::default();
    let sandbox = sandbox_with_tools(shop.tools().approvals(rules(&["ask"])));
    let code = r#"
for name in ('price\u0000', 'Price', ' price', 'price ', '../x', 'shop', 'shop.', '.price', 'shop..buy', 'x' * 10**6,
        '', '*', '\x1b[2J', 'price\n', 'tools.price', 'prіce', '$', '$http', '$http_read', '$price', '$http_reach'):
    frame = lambda op: head(op, 'N').replace(b'"N"', json.dumps(name).encode())
    answers = raw(frame('call')), raw(frame('start'))
    if answers[1].get('call'): answers = answers[0], raw(b'{"op":"tool.wait"}')
    if not all('failed' in answer for answer in answers): print(repr(name)[:50], str(answers)[:200])
    if len(str(answers)) > 1000: print('long')
"#;
    let turn = Turn::new(format!("{RAW}{code}")).input_handler(answers);
    let e = block_on(sandbox.run(turn)).unwrap();
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    assert_eq!(e.stdout.text, "");
    assert_eq!(shop.reached(), [] as [&str; 0]);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn the_limits_of_a_tool_apply_to_every_kind_of_call() {
    let shop = Shop::default();
    let small = ToolLimits::default()
        .with_calls(3)
        .with_bytes_in(1000)
        .with_bytes_out(2000);
    let grow = Tool::new("grow", "", |bytes: Grow| async move {
        Ok(Bytes(vec![0; bytes.to]))
    })
    .unwrap();
    let tools = shop
        .tools()
        .tool(shop.logging("few", anything()).limits(small.clone()))
        .unwrap();
    let tools = tools.tool(grow.limits(small.with_calls(100)));
    let code = r#"
import asyncio
def end(make):
    try: return len(str(make()))
    except ToolError as e: return f'{type(e).__name__} {e}'
print(end(lambda: tools.few(x='a' * 1001)), end(lambda: tools.few(x=bytes(1001))), sep='\n')
print(end(lambda: tools.few(x=1)), end(lambda: tools.few(x=1)), end(lambda: raw(head('start', 'few'))), sep='\n')
print(raw(b'{"op":"tool.wait"}'))
_codeact.tools._functions.clear()
print(end(lambda: asyncio.run(tools.few.aio(x=1))))
print(end(lambda: tools.grow(to=1970)), end(lambda: tools.grow(to=1990)), end(lambda: tools.grow(to=10**7)), sep='\n')
"#;
    let code = format!("import _codeact.tools\n{code}");
    let e = shop.attacked_with(tools.unwrap(), &code, |_| ());
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    let used_up = "this turn's limit of 3 calls of few is used up";
    let expected = format!(
        "ToolArgumentError the arguments of few may have 1000 bytes, these have about 1010\n\
         ToolArgumentError the arguments of few may have 1000 bytes, these have about 1028\n\
         8\nToolError {used_up}\n11\n{{'call': 1, 'failed': 'failed', 'message': \"{used_up}\"}}\n\
         ToolError {used_up}\n7883\nToolError the answer of grow has about 2011 bytes; at most 2000 are allowed\n\
         ToolError the answer of grow has about 10000021 bytes; at most 2000 are allowed\n"
    );
    assert_eq!(e.stdout.text, expected);
    assert_eq!(but_last(shop.reached()), ["few"]);
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Grow {
    to: usize,
}

#[test]
fn a_tool_that_panics_or_never_returns_fails() {
    let shop = Shop::default();
    let brief = ToolLimits::default().with_time(Duration::from_millis(1));
    let early = |_| -> std::future::Ready<Result<Value, ToolFailure>> { panic!("/etc/secret") };
    let late = |_| async move {
        tokio::task::yield_now().await;
        assert!(std::env::args().count() == 0, "/etc/secret");
        Ok(Value::Null)
    };
    let slow = |_| async { Ok(std::future::pending::<Value>().await) };
    let tools = (shop.tools())
        .tool(Tool::with_schema("early", "", nothing(), None, early).unwrap())
        .and_then(|tools| tools.tool(Tool::with_schema("late", "", nothing(), None, late).unwrap()))
        .and_then(|tools| {
            let slow = Tool::with_schema("slow", "", nothing(), None, slow).unwrap();
            tools.tool(slow.limits(brief))
        });
    let code = "
import asyncio
for name in 'early', 'late', 'slow':
    for make in (tools[name], lambda: asyncio.run(tools[name].aio())):
        try: make()
        except ToolError as e: print(e)";
    let e = shop.attacked_with(tools.unwrap(), code, |_| ());
    let failed = "the tool failed in an unexpected way\n".repeat(4);
    assert_eq!(
        e.stdout.text,
        failed + "slow took longer than 1ms\nslow took longer than 1ms\n"
    );
}

/// Returns a value of `depth` nested arrays.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

#[test]
fn a_result_that_is_too_deep_or_too_large_is_a_failure() {
    let shop = Shop::default();
    let deep = |args: Value| async move { Ok(nested(args["n"].as_u64().unwrap_or(0) as usize)) };
    let huge = |args: Value| async move {
        let text = "x".repeat(args["n"].as_u64().unwrap_or(0) as usize);
        match args["fails"].as_bool() {
            Some(true) => Err(ToolFailure::new(text)),
            _ => Ok(Value::String(text)),
        }
    };
    let tools = (shop.tools())
        .tool(Tool::with_schema("deep", "", anything(), None, deep).unwrap())
        .and_then(|tools| {
            tools.tool(Tool::with_schema("huge", "", anything(), None, huge).unwrap())
        });
    let code = "
import asyncio
def end(make):
    try: return len(str(make()))
    except ToolError as e: return str(e) if len(str(e)) < 100 else 'long' if len(str(e)) > 200_000 else 'cut'
print(end(lambda: tools.deep(n=60)))
for n in 130, 1000, 3000: print(end(lambda: tools.deep(n=n)), end(lambda: asyncio.run(tools.deep.aio(n=n))), sep='\\n')
for n in 17 * 2**20, 40 * 2**20: print(end(lambda: tools.huge(n=n)), end(lambda: tools.huge(n=n, fails=True)))";
    let e = shop.attacked_with(tools.unwrap(), code, |_| ());
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    let deep = "the tool's answer is nested too deeply\n".repeat(6);
    let huge = "the answer of huge has about 17825794 bytes; at most 16777216 are allowed cut\n\
                the answer of huge has about 41943042 bytes; at most 16777216 are allowed cut\n";
    assert_eq!(e.stdout.text, format!("124\n{deep}{huge}"));
}

#[test]
fn ten_thousand_tools_can_be_listed_and_searched() {
    let shop = Shop::default();
    let mut tools = shop.tools();
    for number in tools.list().len()..10_000 {
        let summary = format!("Does the thing number {number}, {}", "x".repeat(1000));
        let tool = Tool::with_schema(
            format!("many.t{number}"),
            summary,
            nothing(),
            None,
            |_| async { Ok(Value::Null) },
        );
        tools = tools.tool(tool.unwrap()).unwrap();
    }
    assert!(tools.clone().tool(shop.logging("more", nothing())).is_err());
    let code = r#"
print(len(tools), len(dir(tools)), len(dir(tools.many)), tools.search('9999')[0][:30], len(tools.search('thing')))
print(tools.describe('many.t77')[:40], len(repr(tools)) < 20_000, len(tools.search('')), len(tools.search('\0' * 10**6)))
try: tools.many.t10000
except AttributeError as e: print(e)
# The list is long: only a few copies fit into the limit of host call bytes.
try:
    while True: raw(b'{"op":"tools"}')['tools']
except KeyError: print('enough')
"#;
    let e = shop.attacked_with(tools, code, |_| ());
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    let first = "10000 9 9993 many.t9999: Does the thing num 20\n\
                 tools.many.t77() -> Any\n\nDoes the thing  True 20 20\n";
    let rest = e
        .stdout
        .text
        .strip_prefix(first)
        .unwrap_or_else(|| panic!("{}", shown(&e)));
    assert!(
        rest.starts_with("there is no tool 'many.t10000'; did you mean tools.many.t"),
        "{rest}"
    );
    assert!(rest.ends_with("\nenough\n"), "{rest}");
}
