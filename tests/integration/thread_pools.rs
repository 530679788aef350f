//! Pools of threads in the guest, asyncio's executors, and tools in them.

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

#[test]
fn an_executor_maps_submits_and_waits() {
    prints(
        "
import threading, time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait
def name(n):
    time.sleep(0.01)
    return n, threading.current_thread().name
with ThreadPoolExecutor(2, thread_name_prefix='w') as pool:
    print(list(pool.map(pow, [2, 3], [3, 2])))
    print(sorted(f.result() for f in as_completed([pool.submit(name, n) for n in range(3)])))
    failed = pool.submit(lambda: 1 / 0)
    print(repr(failed.exception()))
    done, rest = wait([pool.submit(time.sleep, t) for t in (0.01, 0.3)], return_when=FIRST_COMPLETED)
    print(len(done), len(rest))
try: pool.submit(print)
except RuntimeError as error: print(error)",
        "[8, 9]
[(0, 'w_0'), (1, 'w_1'), (2, 'w_0')]
ZeroDivisionError('division by zero')
1 1
cannot schedule new futures after shutdown",
    );
}

#[test]
fn workers_sleep_at_the_same_time_and_their_number_is_bounded() {
    prints(
        "
import threading, time
from concurrent.futures import ThreadPoolExecutor
now = peak = 0
def work(_):
    global now, peak
    now += 1; peak = max(peak, now)
    time.sleep(0.05)
    now -= 1
start = time.monotonic()
with ThreadPoolExecutor(10) as pool: list(pool.map(work, range(30)))
print(peak, time.monotonic() - start < 1)",
        "10 True",
    );
}

#[test]
fn tasks_of_a_pool_may_wait_for_each_other() {
    prints(
        "
import queue, threading
from concurrent.futures import ThreadPoolExecutor
barrier, q = threading.Barrier(3), queue.Queue(1)
def meet(n): return sorted([barrier.wait(), 3])
def send():
    for n in range(3): q.put(n)
def receive(): return q.get(), q.get(), q.get()
with ThreadPoolExecutor(3) as pool:
    print(sorted(pool.map(meet, range(3))))
    received = pool.submit(receive)
    pool.submit(send)
    print(received.result())",
        "[[0, 3], [1, 3], [2, 3]]\n(0, 1, 2)",
    );
}

#[test]
fn initializers_locals_and_callbacks_run_in_the_workers() {
    prints(
        "
import threading
from concurrent.futures import ThreadPoolExecutor
local = threading.local()
def prepare(value): local.value = value
def read(): return local.value, hasattr(local, 'value')
with ThreadPoolExecutor(1, initializer=prepare, initargs=(5,)) as pool:
    future = pool.submit(read)
    future.add_done_callback(lambda f: print('called', f.result()))
    print(future.result())
print(hasattr(local, 'value'))",
        "called (5, True)\n(5, True)\nFalse",
    );
}

#[test]
fn cancelled_futures_do_not_run() {
    prints(
        "
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(1)
futures = [pool.submit(print, n) for n in range(3)]
print(futures[2].cancel(), futures[0].result())
pool.shutdown(cancel_futures=True)
print([f.cancelled() for f in futures])",
        "0\nTrue None\n[False, True, True]",
    );
}

#[test]
fn thread_pools_of_multiprocessing_have_all_methods() {
    prints(
        "
import threading, time
from multiprocessing.dummy import Pool
from multiprocessing.pool import ThreadPool
def slow(n):
    time.sleep(0.01)
    return n, threading.current_thread() is threading.main_thread()
with ThreadPool(2) as pool:
    print(pool.map(abs, [-1, -2, -3]), pool.apply(max, (1, 2)), pool.starmap(pow, [(2, 3), (3, 2)]))
    print(list(pool.imap(abs, iter([-1, -2]))), sorted(pool.imap_unordered(abs, [-4, -5], chunksize=2)))
    print(pool.map_async(slow, range(3)).get(timeout=5), pool.apply_async(slow, (9,), callback=print).get())
    try: pool.map(lambda x: 1 / x, [1, 0])
    except ZeroDivisionError as error: print(error)
    print(pool.map(abs, [-7]))
pool = Pool(1, initializer=print, initargs=('ready',))
print(pool.starmap_async(max, [(1, 2)]).get())
pool.close(); pool.join()
try: pool.map(abs, [1])
except ValueError as error: print(error)",
        "[1, 2, 3] 2 [8, 9]
[1, 2] [4, 5]
(9, False)
[(0, False), (1, False), (2, False)] (9, False)
division by zero
[7]
ready
[2]
Pool not running",
    );
}

#[test]
fn asyncio_runs_functions_in_threads_while_its_tasks_go_on() {
    prints(
        "
import asyncio, contextvars, threading, time
var = contextvars.ContextVar('var')
ticked, worked = threading.Event(), threading.Event()
def work(n):
    worked.set()
    ticked.wait()
    return n, var.get(None), threading.current_thread() is threading.main_thread()
async def tick():
    while not worked.is_set(): await asyncio.sleep(0.005)
    ticked.set()
    return 'ticked'
async def main():
    var.set('v')
    loop = asyncio.get_running_loop()
    return await asyncio.gather(asyncio.to_thread(work, 1), loop.run_in_executor(None, work, 2), tick())
print(asyncio.run(main()))
async def inner(): return await asyncio.to_thread(lambda: asyncio.run(asyncio.sleep(0.01, 'inner')))
print(await inner())",
        "[(1, 'v', False), (2, None, False), 'ticked']\ninner",
    );
}

#[test]
fn an_event_loop_in_a_thread_serves_the_code() {
    prints(
        "
import asyncio, threading
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever, daemon=True)
thread.start()
async def double(x):
    await asyncio.sleep(0.01)
    return 2 * x, threading.current_thread() is thread
for x in 1, 2: print(asyncio.run_coroutine_threadsafe(double(x), loop).result())
loop.call_soon_threadsafe(loop.stop)
thread.join()
print(loop.is_running(), asyncio.run(double(5)))",
        "(2, True)\n(4, True)\nFalse (10, False)",
    );
}

#[test]
fn an_executor_lasts_as_long_as_its_session() {
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
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(2)
print(pool.submit(abs, -1).result()); later = pool.submit(abs, -2)",
    )
    .stdout("1\n");
    turn("print(later.done(), pool.submit(abs, -3).result())").stdout("True 3\n");
}
