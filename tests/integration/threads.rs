//! `threading` and `queue` in the guest: threads run when the code that runs has to wait, and every wait ends.

use crate::support::exec;

/// Runs code that must print `expected`.
#[track_caller]
fn prints(code: &str, expected: &str) {
    exec()
        .code(code)
        .run()
        .success()
        .stdout(&format!("{}\n", expected.trim()));
}

/// Runs code that must raise an error with each of the `parts`.
#[track_caller]
fn raises(code: &str, parts: &[&str]) {
    let mut done = exec().code(code).run().code(1);
    for part in parts {
        done = done.stderr_contains(part);
    }
}

#[test]
fn a_lock_with_a_timeout_is_not_acquired() {
    prints(
        "
import threading
for lock in threading.Lock(), threading.Semaphore(), threading.BoundedSemaphore():
    print(lock.acquire(), lock.acquire(timeout=0.01), lock.acquire(False))
    lock.release()
    with lock: print(lock.acquire(blocking=False))",
        "True False False\nFalse\nTrue False False\nFalse\nTrue False False\nFalse",
    );
}

#[test]
fn queues_that_stay_empty_raise_empty_at_the_time_out() {
    prints(
        "
import queue
for kind in queue.Queue, queue.LifoQueue, queue.PriorityQueue, queue.SimpleQueue:
    q = kind()
    for wait in (lambda: q.get(timeout=0.01)), (lambda: q.get(timeout=0)), q.get_nowait:
        try: wait()
        except queue.Empty: print('empty', end=' ')
q = queue.Queue(1); q.put(1)
try: q.put(2, timeout=0.01)
except queue.Full: print('full')",
        &format!("{}full", "empty ".repeat(12)),
    );
}

#[test]
fn a_wait_that_nothing_can_end_is_an_error_that_names_it() {
    for (code, name) in [
        (
            "lock = threading.Lock(); lock.acquire(); lock.acquire()",
            "lock.acquire",
        ),
        ("queue.Queue().get()", "Queue.get"),
        ("queue.SimpleQueue().get()", "SimpleQueue.get"),
        ("threading.Event().wait()", "Event.wait"),
        ("threading.Barrier(2).wait()", "Barrier.wait"),
        ("threading.Semaphore(0).acquire()", "Semaphore.acquire"),
        ("concurrent.futures.Future().result()", "Future.result"),
    ] {
        let code = format!("import concurrent.futures, queue, threading\n{code}");
        let wait = format!("MainThread waits in {name} (line 2 of <string>)");
        raises(&code, &["RuntimeError: this would wait forever", &wait]);
    }
}

#[test]
fn threads_that_wait_for_each_other_are_an_error_that_names_both_waits() {
    raises(
        "
import threading
a, b = threading.Lock(), threading.Lock()
held = threading.Event()
def first():
    with a:
        held.wait()
        with b: pass
def second():
    with b:
        held.set()
        with a: pass
threads = [threading.Thread(target=f, name=f.__name__) for f in (first, second)]
for t in threads: t.start()
for t in threads: t.join()",
        &[
            "MainThread waits in Thread.join (line 15",
            "first waits for a lock (line 8",
            "second waits for a lock (line 12",
        ],
    );
}

#[test]
fn threads_that_would_never_end_are_an_error_at_the_end_of_the_code() {
    raises(
        "
import threading
never = threading.Event()
def wait():
    never.wait()
threading.Thread(target=wait, name='sleeper').start()",
        &[
            "at the end of the code, threads would wait forever: sleeper waits in Event.wait (line 5",
        ],
    );
}

#[test]
fn a_started_thread_runs_when_the_code_waits_or_ends() {
    prints(
        "
import threading, time
def show(text): print(text)
t = threading.Thread(target=show, args=('joined',)); t.start(); print('started'); t.join()
threading.Thread(target=show, args=('slept',)).start(); time.sleep(0.01)
threading.Thread(target=show, args=('at the end',)).start()
print('main ends')",
        "started\njoined\nslept\nmain ends\nat the end",
    );
}

#[test]
fn a_daemon_that_loops_for_ever_does_not_hold_up_the_code() {
    prints(
        "
import threading, time
def beat():
    while True: time.sleep(0.01)
def spin():
    while not stop.wait(0.01): pass
stop = threading.Event()
for f in beat, spin: threading.Thread(target=f, daemon=True).start()
time.sleep(0.03)
print('main goes on')",
        "main goes on",
    );
}

#[test]
fn a_heartbeat_beats_until_it_is_stopped_and_then_ends_its_function() {
    prints(
        "
import threading, time
class Heart(threading.Thread):
    def __init__(self):
        super().__init__()
        self.__stop = threading.Event()
        self.beats = 0
    def run(self):
        while not self.__stop.wait(0.01):
            self.beats += 1
        print('stopped')
    def stop(self):
        self.__stop.set()
        self.join()
heart = Heart(); heart.start()
time.sleep(0.1)
heart.stop()
print(heart.beats > 1, heart.is_alive())",
        "stopped\nTrue False",
    );
}

#[test]
fn timers_run_at_their_time_unless_they_are_cancelled() {
    prints(
        "
import threading
late = threading.Timer(3600, print, ['late']); late.start(); late.cancel(); late.join()
soon = threading.Timer(0.01, print, ['soon']); soon.start(); soon.join()
class Repeat(threading.Timer):
    def run(self):
        while not self.finished.wait(self.interval): self.function()
times = []
repeat = Repeat(0.01, lambda: (times.append(1), len(times) == 3 and repeat.cancel()))
repeat.start(); repeat.join()
print(len(times))",
        "soon\n3",
    );
}

#[test]
fn a_worker_serves_a_queue_in_several_rounds() {
    prints(
        "
import queue, threading
q, done = queue.Queue(), []
def worker():
    while True:
        item = q.get()
        try: done.append(item * 2)
        finally: q.task_done()
for _ in range(2): threading.Thread(target=worker, daemon=True).start()
for start in 0, 10:
    for item in range(start, start + 3): q.put(item)
    q.join()
    print(sorted(done))",
        "[0, 2, 4]\n[0, 2, 4, 20, 22, 24]",
    );
}

#[test]
fn producers_and_consumers_share_bounded_queues() {
    prints(
        "
import queue, threading
def produce(q):
    for n in range(10): q.put(n)
    q.put(None)
def consume(q, into):
    for item in iter(q.get, None): into.append(item)
def run(*threads):
    for t in threads: t.start()
    for t in threads: t.join()
first, second, into = queue.Queue(2), queue.Queue(1), []
def move():
    while (item := first.get()) is not None: second.put(item + 100)
    second.put(None)
run(*(threading.Thread(target=f, args=a) for f, a in ((produce, (first,)), (move, ()), (consume, (second, into)))))
print(into == list(range(100, 110)))
q = queue.Queue(2)
threading.Thread(target=produce, args=(q,)).start()
print(list(iter(q.get, None)))",
        "True\n[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]",
    );
}

#[test]
fn threads_take_turns_with_conditions_semaphores_events_and_barriers() {
    prints(
        "
import threading
out, turn, condition = [], 'ping', threading.Condition()
def player(me, other):
    global turn
    for _ in range(3):
        with condition:
            condition.wait_for(lambda: turn == me)
            out.append(me); turn = other; condition.notify_all()
even, odd, numbers = threading.Semaphore(1), threading.Semaphore(0), []
def count(start, mine, other):
    for n in range(start, 6, 2):
        mine.acquire(); numbers.append(n); other.release()
barrier, steps = threading.Barrier(3), []
def party(n):
    for step in range(2):
        steps.append(step); barrier.wait()
threads = [threading.Thread(target=f, args=a) for f, a in (
    (player, ('pong', 'ping')), (player, ('ping', 'pong')), (count, (1, odd, even)), (count, (0, even, odd)),
    (party, (0,)), (party, (1,)), (party, (2,)))]
for t in threads: t.start()
for t in threads: t.join()
print(out, numbers, steps)",
        "['ping', 'pong', 'ping', 'pong', 'ping', 'pong'] [0, 1, 2, 3, 4, 5] [0, 0, 0, 1, 1, 1]",
    );
}

#[test]
fn loops_that_poll_for_a_thread_see_its_end() {
    prints(
        "
import threading, time
done = False
def work():
    global done
    time.sleep(0.01); done = True
t = threading.Thread(target=work); t.start()
while t.is_alive(): pass
print(done)
running = True
def spin():
    n = 0
    while running: n += 1
    print(n > 0)
t = threading.Thread(target=spin); t.start(); time.sleep(0.01); running = False; t.join()
event = threading.Event()
threading.Thread(target=event.set).start()
while not event.is_set(): pass
print('set')",
        "True\nTrue\nset",
    );
}

#[test]
fn each_thread_has_its_own_identity_local_data_and_context() {
    prints(
        "
import contextvars, decimal, threading
class Local(threading.local):
    def __init__(self, start): self.v = start
local, counted, c = threading.local(), Local(7), contextvars.ContextVar('c', default=0)
local.v = 'main'; counted.v += 1; c.set(1); decimal.getcontext().prec = 5
def f():
    me = threading.current_thread()
    print(getattr(local, 'v', None), counted.v, c.get(), decimal.getcontext().prec, me.name, me is t)
    print(me.ident == threading.get_ident() != threading.main_thread().ident, me.native_id == threading.get_native_id())
    local.v, counted.v = 'thread', 0; c.set(2)
t = threading.Thread(target=f, name='T1'); t.start()
print([one.name for one in threading.enumerate()], threading.active_count(), t.is_alive())
t.join()
print(local.v, counted.v, c.get(), threading.active_count(), t.is_alive())",
        "['MainThread', 'T1'] 2 True\nNone 7 0 28 T1 True\nTrue True\nmain 8 1 1 False",
    );
}

#[test]
fn a_lock_of_another_thread_is_respected_and_its_owner_may_acquire_it_again() {
    prints(
        "
import threading
r, tried, out = threading.RLock(), threading.Event(), []
def f():
    out.append(r.acquire(blocking=False))
    try: r.release()
    except RuntimeError as error: out.append(str(error))
    tried.set()
    with r:
        with r: out.append(r.acquire())
        r.release()
with r, r:
    t = threading.Thread(target=f); t.start(); tried.wait()
    out.append(t.is_alive())
t.join()
print(out)",
        "[False, 'cannot release un-acquired lock', True, True]",
    );
}

#[test]
fn an_exception_of_a_thread_goes_to_the_hook_and_the_code_goes_on() {
    let done = exec()
        .code(
            "
import threading
def bad(): raise ValueError('x')
t = threading.Thread(target=bad, name='bad one'); t.start(); t.join()
threading.excepthook = lambda args: print(args.thread.name, args.exc_value)
t = threading.Thread(target=bad, name='hooked'); t.start(); t.join()
print('on')",
        )
        .run()
        .success()
        .stdout("hooked x\non\n");
    assert!(
        done.stderr.contains("Exception in thread bad one:"),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains("<codeact>"), "{}", done.stderr);
}

#[test]
fn library_code_that_waits_in_a_daemon_is_ended_when_the_code_goes_on() {
    // The function of the thread is C code, so that it waits on the stack.
    prints(
        "
import threading, time
log = []
def wait(_):
    try:
        while True: time.sleep(0.01)
    finally: log.append('ended')
t = threading.Thread(target=list, args=(map(wait, [1]),), daemon=True)
t.start(); time.sleep(0.03)
print(log, t.is_alive())",
        "['ended'] False",
    );
}

#[test]
fn a_daemon_of_one_turn_serves_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let turn = |code: &str| {
        exec()
            .host_env("CODEACT_SESSIONS", folder.path())
            .args(["--session", "s"])
            .code(code)
            .run()
            .success()
    };
    turn(
        "
import queue, threading
q = queue.Queue()
def worker():
    while True: print('got', q.get()); q.task_done()
threading.Thread(target=worker, daemon=True).start(); q.put(1); q.join()",
    )
    .stdout("got 1\n");
    turn("q.put(2); q.join()").stdout("got 2\n");
}

#[test]
fn progress_bars_end() {
    let done = exec()
        .code("from tqdm import tqdm\nimport time\nfor i in tqdm(range(3)): time.sleep(0.01)\nprint('done')")
        .run()
        .success()
        .stdout("done\n");
    assert!(done.stderr.contains("3/3"), "{}", done.stderr);
}

#[test]
fn cpu_time_does_not_count_waits() {
    prints(
        "
import time
start, cpu = time.monotonic(), time.process_time()
time.sleep(0.2)
print(time.process_time() - cpu < (time.monotonic() - start) / 2, time.thread_time_ns() - cpu * 1e9 < 1e8)",
        "True True",
    );
}

#[test]
fn a_thread_function_can_name_itself_and_its_class() {
    prints(
        "
import queue, threading, time
out, q = [], queue.Queue()
class Writer:
    count = 0
    def loop(self):
        while True:
            out.append(q.get()); Writer.count += 1; q.task_done()
threading.Thread(target=Writer().loop, daemon=True).start()
for i in range(4): q.put(i); time.sleep(0.01)
print(out, Writer.count)
class Account:
    lock, total = threading.Lock(), 0
    def add(self, n):
        with Account.lock:
            before = Account.total; time.sleep(0.005); Account.total = before + n
threads = [threading.Thread(target=Account().add, args=(2,)) for _ in range(5)]
for t in threads: t.start()
for t in threads: t.join()
print(Account.total)
other = queue.Queue()
def take(n):
    if n: out.append(other.get()); take(n - 1)
t = threading.Thread(target=take, args=(2,)); t.start()
for i in 7, 8: time.sleep(0.005); other.put(i)
t.join(); print(out[-2:])",
        "[0, 1, 2, 3] 4\n10\n[7, 8]",
    );
}

#[test]
fn a_subclass_can_call_the_run_of_thread() {
    prints(
        "
import queue, threading, time
class Keeping(threading.Thread):
    error = None
    def run(self):
        try: super().run()
        except Exception as e: self.error = e
q, got = queue.Queue(), []
def fail():
    time.sleep(0.01); got.append(q.get()); raise ValueError(1)
t = Keeping(target=fail); t.start(); time.sleep(0.02); q.put(5); t.join()
print(got, repr(t.error))",
        "[5] ValueError(1)",
    );
}

#[test]
fn loops_that_ask_for_a_size_let_threads_run() {
    prints(
        "
import queue, threading, time
q = queue.Queue()
def worker():
    while True: q.get(); time.sleep(0.001)
threading.Thread(target=worker, daemon=True).start()
for i in range(3): q.put(i)
while q.qsize() > 0: pass
threading.Thread(target=time.sleep, args=(0.01,)).start()
while threading.active_count() > 2: pass
print(q.qsize(), threading.active_count())",
        "0 2",
    );
}
