"""HTTP(S) with httpx, synchronous and asynchronous."""

import asyncio
import sys
import urllib.parse

import httpx

sys.path.append("/mnt")

from checks import (
    BIG,
    CLOSED,
    DENIED,
    HTTP,
    HTTPS,
    MAX_OPEN,
    NAMELESS,
    STREAM,
    WRONG_NAME,
    araises,
    case,
    no_new_connection,
    raises,
    run_cases,
)

UNREACHABLE = (DENIED, NAMELESS, CLOSED, WRONG_NAME)
LINES = STREAM.decode().splitlines()


# A client


@case
def a_client_makes_requests():
    with httpx.Client() as client:
        for server in (HTTP, HTTPS):
            echo = client.get(f"{server}/echo", params={"q": "ä"}).json()
            assert echo["path"] == "/echo?q=%C3%A4"
            assert client.post(f"{server}/echo", json=[1]).json()["body"] == "[1]"
            parts = (b"%d" % number for number in range(3))
            assert client.post(f"{server}/echo", content=parts).json()["body"] == "012"
            assert client.get(f"{server}/gzip").text == "squeezed " * 100
            assert len(client.get(f"{server}/big").content) == BIG
            assert client.head(f"{server}/big").headers["content-length"] == str(BIG)
            assert client.get(f"{server}/none").status_code == 204
            with client.stream("GET", f"{server}/stream") as response:
                assert list(response.iter_lines()) == LINES


@case
def a_client_follows_redirects():
    response = httpx.get(f"{HTTPS}/redirect", follow_redirects=True)
    assert response.history and response.json()["path"] == "/echo?redirected"
    elsewhere = f"{HTTP}/redirect?{urllib.parse.quote(HTTPS + '/echo')}"
    assert httpx.get(elsewhere, follow_redirects=True).url == f"{HTTPS}/echo"


@case
def a_client_keeps_its_connections():
    with httpx.Client() as client:
        client.get(f"{HTTPS}/big")
        with no_new_connection():
            for _ in range(3):
                assert client.get(f"{HTTPS}/").text == "hello"


@case
def a_client_receives_the_reason_of_a_failure():
    for url in UNREACHABLE:
        raises(httpx.NetworkError, httpx.get, url)
    raises(httpx.ConnectError, httpx.get, DENIED, text="not among the allowed hosts")
    raises(httpx.NetworkError, httpx.get, WRONG_NAME, verify=False)
    raises(httpx.ReadTimeout, httpx.get, f"{HTTP}/hang", timeout=httpx.Timeout(60, read=0.05))
    raises(httpx.HTTPError, httpx.get, f"{HTTP}/short")
    raises(httpx.HTTPError, httpx.get, f"{HTTP}/nonsense")


@case
def proxies_are_refused():
    for url in ("http://example.com/", "https://example.com/"):
        raises((httpx.HTTPError, OSError), httpx.get, url, proxy=HTTP, text="prox")


# An asynchronous client


@case
async def an_async_client_makes_requests():
    async def parts():
        for number in range(3):
            yield b"%d" % number

    async with httpx.AsyncClient() as client:
        for server in (HTTP, HTTPS):
            assert (await client.get(f"{server}/echo")).json()["path"] == "/echo"
            assert len((await client.get(f"{server}/big")).content) == BIG
            echo = await client.post(f"{server}/echo", content=parts())
            assert echo.json()["body"] == "012"
            assert (await client.get(f"{server}/redirect", follow_redirects=True)).history
            async with client.stream("GET", f"{server}/stream") as response:
                assert [line async for line in response.aiter_lines()] == LINES
        with no_new_connection():
            assert (await client.get(f"{HTTPS}/")).text == "hello"


@case
async def requests_are_under_way_at_once():
    """The server responds to none of them before it has received all."""
    async with httpx.AsyncClient(timeout=60) as client:
        together = [client.get(f"{server}/meet?4") for server in (HTTP, HTTPS) for _ in range(4)]
        answers = await asyncio.gather(*together)
        assert [answer.text for answer in answers] == ["met"] * 8


@case
async def an_async_client_receives_the_reason_of_a_failure():
    async with httpx.AsyncClient() as client:
        for url in UNREACHABLE:
            await araises(httpx.NetworkError, client.get(url))
        await araises(httpx.NetworkError, client.get(DENIED), text="not among the allowed hosts")


@case
async def cancelled_requests_end():
    async with httpx.AsyncClient() as client:
        for server in (HTTP, HTTPS):
            limit = httpx.Timeout(60, read=0.05)
            await araises(httpx.ReadTimeout, client.get(f"{server}/hang", timeout=limit))
            with_limit = asyncio.wait_for(client.get(f"{server}/hang", timeout=None), 0.05)
            await araises(TimeoutError, with_limit)
            task = asyncio.create_task(client.get(f"{server}/hang", timeout=None))
            await asyncio.sleep(0.01)
            task.cancel()
            await araises(asyncio.CancelledError, task)
            assert (await client.get(f"{server}/")).text == "hello"
        for _ in range(2 * MAX_OPEN):
            async with client.stream("GET", f"{HTTP}/big"):
                pass
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


run_cases()
