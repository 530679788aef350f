"""`multiprocessing.pool.ThreadPool`, and with it `multiprocessing.dummy.Pool`, without pipes.

Natively three handler threads move tasks and results between queues. Here each worker takes its tasks
from the submitted sequences itself, and delivers its results to the pool's cache.
"""

import os
import threading
from multiprocessing import pool

from _codeact import answer, scheduler, thread_calls
from _collections import deque

_ENDS = scheduler.Stopped, GeneratorExit, answer.AnswerGiven


class _Tasks:
    """The submitted sequences of tasks. The workers refer to it, but not to the pool."""

    def __init__(self):
        self.sequences = deque()
        self.cache = {}
        self.is_closed = False

    def put(self, item):
        """Adds a sequence of tasks, and the function that receives its length, or None."""
        sequence, set_length = item
        self.sequences.append([iter(sequence), set_length, 0])

    def has_changed(self):
        return bool(self.sequences) or self.is_closed

    def take(self):
        """Returns the next task, or None."""
        while self.sequences:
            first = self.sequences[0]
            try:
                task = next(first[0])
            except StopIteration:
                if self.sequences and self.sequences[0] is first:
                    self.sequences.popleft()
                if first[1] is not None:
                    first[1](first[2])
                continue
            first[2] += 1
            return task
        return None


class ThreadPool(pool.Pool):
    """A pool of threads with the methods of `multiprocessing.Pool`."""

    def __init__(self, processes=None, initializer=None, initargs=()):
        self._pool = []
        self._state = pool.RUN
        if processes is None:
            processes = os.process_cpu_count() or 1
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._processes = processes
        self._taskqueue = _Tasks()
        self._cache = self._taskqueue.cache
        for _ in range(processes):
            worker = threading.Thread(
                target=_worker, args=(self._taskqueue, initializer, initargs), daemon=True
            )
            worker._name = worker._name.replace("_worker", "worker")
            self._pool.append(worker)
            worker.start()

    def __del__(self):
        tasks = self.__dict__.get("_taskqueue")
        if tasks is not None:
            tasks.is_closed = True

    def close(self):
        if self._state == pool.RUN:
            self._state = pool.CLOSE
            self._taskqueue.is_closed = True

    def terminate(self):
        self._state = pool.TERMINATE
        self._taskqueue.is_closed = True
        self._taskqueue.sequences.clear()

    def join(self):
        if self._state == pool.RUN:
            raise ValueError("Pool is still running")
        for worker in self._pool:
            worker.join()


def _worker(tasks, initializer, initargs):
    """Works until the pool is closed. Replaced by its steps."""


def _work(tasks, initializer, initargs):
    if initializer is not None:
        yield from thread_calls.call(initializer, *initargs)
    while True:
        task = tasks.take()
        if task is None:
            if tasks.is_closed:
                return
            yield scheduler.Wait(tasks.has_changed, is_idle=True)
            continue
        job, index, function, args, kwargs = task
        try:
            result = True, (yield from _call(function, args, kwargs))
        except _ENDS:
            raise
        except Exception as error:
            result = False, error
        if job in tasks.cache:
            tasks.cache[job]._set(index, result)
        yield None


def _call(function, args, kwargs):
    """Calls a task's function. Items of a chunk are calls of their own, so that each can wait."""
    if function is not pool.mapstar and function is not pool.starmapstar:
        return (yield from thread_calls.call(function, *args, **kwargs))
    ((inner, items),) = args
    results = []
    for item in items:
        unpacked = item if function is pool.starmapstar else (item,)
        results.append((yield from thread_calls.call(inner, *unpacked)))
    return results


def _wait(self, timeout=None):
    yield from thread_calls.call(self._event.wait, timeout)


def _get(self, timeout=None):
    yield from _wait(self, timeout)
    return pool.ApplyResult.get(self, 0)


def install():
    """Installs the pool. Called while the image is made, after `threads`."""
    ThreadPool.__module__ = "multiprocessing.pool"
    pool.ThreadPool = ThreadPool
    thread_calls.add_steps(_worker, _work)
    thread_calls.add_steps(pool.ApplyResult.wait, _wait)
    thread_calls.add_steps(pool.ApplyResult.get, _get)
