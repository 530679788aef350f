"""The control plane of E2B's Python SDK: life, lists, forks, snapshots, network, metrics."""

import datetime

import httpx
from e2b import (
    AuthenticationException,
    InvalidArgumentException,
    NotFoundException,
    SandboxException,
    SandboxNotFoundException,
    SandboxQuery,
    SandboxState,
    TimeoutException,
)
from e2b_code_interpreter import Sandbox

from e2b_support import until


def refused(kind, text, call):
    try:
        call()
    except kind as error:
        assert text in str(error), (text, error)
    else:
        raise AssertionError(f"expected {kind.__name__} with {text!r}")


def create_and_connect(sandbox):
    sandbox.run_code("x = 1")
    other = Sandbox.connect(sandbox.sandbox_id)
    assert other.run_code("x").text == "1"
    assert other.is_running() and sandbox.is_running()
    info = sandbox.get_info()
    assert info.sandbox_id == sandbox.sandbox_id and info.state == SandboxState.RUNNING, info
    assert info.template_id == "code-interpreter-v1", info
    left = info.end_at - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(seconds=250) < left <= datetime.timedelta(seconds=301), left
    refused(SandboxNotFoundException, "not found", lambda: Sandbox.connect("nosuchsandbox"))


def kill():
    sandbox = Sandbox.create()
    assert sandbox.kill() and not sandbox.is_running()
    assert not sandbox.kill()
    assert not Sandbox.kill("nosuchsandbox")
    refused(TimeoutException, "was not found", lambda: sandbox.run_code("1"))
    refused(SandboxNotFoundException, "not found", sandbox.get_info)


def timeout():
    sandbox = Sandbox.create(timeout=600)
    sandbox.set_timeout(3600)
    left = sandbox.get_info().end_at - datetime.datetime.now(datetime.timezone.utc)
    assert left > datetime.timedelta(seconds=3500), left
    # Connecting never shortens the time.
    Sandbox.connect(sandbox.sandbox_id, timeout=10)
    assert sandbox.get_info().end_at > datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3000)
    sandbox.set_timeout(0)
    until("the sandbox ends", lambda: not sandbox.is_running())
    until("it is removed", lambda: not sandbox.kill())
    refused(SandboxException, "Timeout is -1 seconds", lambda: Sandbox.create(timeout=-1))


def pause_and_resume(sandbox):
    sandbox.run_code("x = 41; open('a.txt', 'w').write('file')")
    context = sandbox.create_code_context()
    sandbox.run_code("y = 7", context=context)
    assert sandbox.pause()
    assert not sandbox.pause()  # it is already paused
    assert not sandbox.is_running()
    refused(TimeoutException, "was not found", lambda: sandbox.run_code("x"))
    assert sandbox.get_info().state == SandboxState.PAUSED
    refused(SandboxException, "is paused and cannot be forked", sandbox.fork)
    resumed = sandbox.connect(timeout=60)
    assert resumed.run_code("x + 1").text == "42"
    assert resumed.run_code("y", context=context).text == "7"
    assert resumed.get_info().state == SandboxState.RUNNING
    # Without memory the interpreter starts again, over the same files.
    assert sandbox.pause(mode="filesystem")
    sandbox.connect()
    assert sandbox.run_code("x").error.name == "NameError"
    assert sandbox.run_code("open('a.txt').read()").text == "file"
    sandbox.pause()
    sandbox.connect(on_resume="reboot")
    assert sandbox.run_code("open('a.txt').read()").text == "file"


def pause_at_the_end_and_resume_on_request():
    sandbox = Sandbox.create(timeout=600, lifecycle={"on_timeout": "pause", "auto_resume": True})
    sandbox.run_code("x = 5")
    sandbox.set_timeout(0)
    info = until("it is paused", lambda: (i := sandbox.get_info()).state == SandboxState.PAUSED and i)
    assert info.lifecycle and info.lifecycle["auto_resume"], info
    sandbox.connect(timeout=60)
    sandbox.pause()
    assert sandbox.run_code("x").text == "5"
    sandbox.kill()
    plain = Sandbox.create(timeout=600, lifecycle={"on_timeout": "pause"})
    plain.set_timeout(0)
    until("it is paused", lambda: plain.get_info().state == SandboxState.PAUSED)
    refused(TimeoutException, "was not found", lambda: plain.run_code("1"))
    plain.kill()


def fork(sandbox):
    sandbox.run_code("x = 1; open('f.txt', 'w').write('shared')")
    forks = sandbox.fork(count=3, timeout=120)
    assert len(forks) == 3 and len({one.sandbox_id for one in forks}) == 3
    for number, one in enumerate(forks):
        assert one.run_code(f"x += {number}; x").text == str(1 + number)
        assert one.run_code("open('f.txt').read()").text == "shared"
    assert sandbox.run_code("x").text == "1"
    # A token is of one sandbox.
    headers = {"E2b-Sandbox-Id": forks[0].sandbox_id, "E2b-Sandbox-Port": "49999"}
    for token, status in [(forks[0]._envd_access_token, 200), (forks[1]._envd_access_token, 502), (None, 401)]:
        answer = httpx.get(
            f"{sandbox.connection_config.api_url}/contexts",
            headers=headers | ({"X-Access-Token": token} if token else {}),
        )
        assert answer.status_code == status, (answer, answer.text)
    for one in forks:
        assert one.kill()
    # The SDK checks the count itself.
    config = sandbox.connection_config
    for count, status in [(0, 400), (101, 400), (-1, 400), ("2", 400)]:
        url = f"{config.api_url}/sandboxes/{sandbox.sandbox_id}/fork"
        answer = httpx.post(url, json={"count": count}, headers={"X-API-KEY": config.api_key})
        assert answer.status_code == status and answer.json()["code"] == status, (count, answer.text)


def snapshots(sandbox):
    sandbox.run_code("x = 'from the snapshot'; open('g.txt', 'w').write('g')")
    plain = sandbox.create_snapshot()
    named = sandbox.create_snapshot(name="my-template")
    assert named.names and "my-template" in named.snapshot_id, named
    sandbox.run_code("x = 'later'")
    for template in (plain.snapshot_id, named.snapshot_id, "my-template"):
        other = Sandbox.create(template, envs={"A": "b"}, metadata={"m": "n"})
        assert other.run_code("x").text == "from the snapshot", template
        assert other.run_code("import os; os.environ['A']").text == "b"
        assert other.get_info().metadata == {"m": "n"}
        other.kill()
    files = sandbox.create_snapshot(name="files-only", mode="filesystem")
    other = Sandbox.create(files.snapshot_id)
    assert other.run_code("x").error.name == "NameError"
    assert other.run_code("open('g.txt').read()").text == "g"
    other.kill()
    ids = [one.snapshot_id for one in sandbox.list_snapshots().next_items()]
    assert {plain.snapshot_id, named.snapshot_id} <= set(ids) and len(ids) == 3, ids
    # They are no sandboxes.
    running = Sandbox.list(query=SandboxQuery(metadata={})).next_items()
    assert not {one.sandbox_id for one in running} & {id.split(":")[0] for id in ids}
    # A snapshot of the same name replaces the first one.
    assert sandbox.create_snapshot(name="my-template").snapshot_id == named.snapshot_id
    other = Sandbox.create("my-template")
    assert other.run_code("x").text == "later"
    other.kill()
    for one in ids:
        assert Sandbox.delete_snapshot(one), one
        assert not Sandbox.delete_snapshot(one)
    refused(SandboxException, "template 'my-template' not found", lambda: Sandbox.create("my-template"))
    refused(SandboxException, "is a template of this server", lambda: sandbox.create_snapshot(name="base"))


def lists():
    made = [Sandbox.create(metadata={"test": "a list & more", "n": str(n)}) for n in range(5)]
    query = SandboxQuery(metadata={"test": "a list & more"})
    pages, pager = [], Sandbox.list(query=query, limit=2)
    while pager.has_next:
        pages.append([one.sandbox_id for one in pager.next_items()])
    assert [len(page) for page in pages] == [2, 2, 1], pages
    assert sorted(sum(pages, [])) == sorted(one.sandbox_id for one in made), pages
    pager = Sandbox.list(query=query, limit=100, order="asc")
    ids = [one.sandbox_id for one in pager.next_items()]
    assert ids == list(reversed(sum(pages, []))), (ids, pages)
    made[0].pause()
    for state, count in [(SandboxState.PAUSED, 1), (SandboxState.RUNNING, 4)]:
        query.state = [state]
        assert len(Sandbox.list(query=query).next_items()) == count, state
    query.state = None
    query.started_after = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    assert Sandbox.list(query=query).next_items() == []
    query.started_after = datetime.datetime.now() - datetime.timedelta(hours=1)
    query.template = "code-interpreter-v1"
    assert len(Sandbox.list(query=query).next_items()) == 5
    query.template = "base"
    assert Sandbox.list(query=query).next_items() == []
    for one in made:
        one.kill()


def metrics(sandbox):
    sandbox.run_code("x = bytearray(50_000_000)")
    sample = sandbox.get_metrics()[0]
    assert sample.cpu_count == 1 and 40_000_000 < sample.mem_used < sample.mem_total, sample
    assert sample.timestamp.tzinfo is not None


def requests_are_made_once():
    key = "5f0c1a52-0000-4000-8000-000000000001"
    first = Sandbox.create(idempotency_key=key)
    again = Sandbox.create(idempotency_key=key)
    assert first.sandbox_id == again.sandbox_id
    refused(SandboxException, "used with another request", lambda: Sandbox.create(timeout=7, idempotency_key=key))
    first.kill()


def network():
    closed = Sandbox.create(allow_internet_access=False)
    assert closed.get_info().allow_internet_access is False
    code = "import urllib.request\nurllib.request.urlopen('http://example.com')"
    assert closed.run_code(code).error is not None
    closed.update_network({"allow_out": [], "deny_out": ["0.0.0.0/0"]})
    closed.kill()
    refused(
        SandboxException,
        "can only deny all addresses",
        lambda: Sandbox.create(network={"deny_out": ["10.0.0.0/8"]}),
    )


def missing_parts_are_refused():
    refused(SandboxException, "template 'my-own' not found", lambda: Sandbox.create("my-own"))
    refused(AuthenticationException, "401", lambda: Sandbox.create(api_key="e2b_" + "0" * 40))
    refused(SandboxException, "volumes", lambda: Sandbox.create(volume_mounts={"/mnt": "data"}))
    from e2b import Template
    refused(Exception, "does not build templates", lambda: Template.build(Template().from_base_image(), alias="x"))


TESTS = [
    create_and_connect,
    kill,
    timeout,
    pause_and_resume,
    pause_at_the_end_and_resume_on_request,
    fork,
    snapshots,
    lists,
    metrics,
    requests_are_made_once,
    network,
    missing_parts_are_refused,
]

if __name__ == "__main__":
    from e2b_support import main

    main(TESTS, Sandbox.create)
