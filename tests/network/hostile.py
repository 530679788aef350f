"""Attacks on the network by hostile code. All must fail, and the sandbox must keep working."""

import errno
import http.client
import json
import sys
import urllib.parse
import urllib.request

import _host

sys.path.append("/mnt")

from checks import DENIED, HTTP, HTTP_PORT, HTTPS, MAX_BODY, MAX_OPEN, case, raises, run_cases

HUGE = 64 << 20


def call(name, args, blob=None):
    """Makes a raw host call. Returns the reply, with its bytes under the key `bytes`."""
    frame = b'{"op":"tool.call","tool":%b,"args":%b' % (_json(name), _json(args))
    if blob is None:
        frame += b"}"
    else:
        frame += b',"blobs":[%d],"marker":"$bytes"}\0%b' % (len(blob), blob)
    head, _, tail = _host.call(frame).partition(b"\0")
    answer = json.loads(head)
    answer["bytes"] = tail
    return answer


def _json(value):
    return json.dumps(value).encode()


def request(blob=None, **kwargs):
    """Returns the reply to `$http` with these arguments."""
    plain = {"method": "GET", "url": f"{HTTP}/echo", "headers": [], "timeout": None}
    return call("$http", plain | kwargs, blob)


def read(response, most=1 << 16):
    return call("$http_read", {"response": response, "most": most, "timeout": None})


def close(response):
    return call("$http_close", {"response": response})


def echoed(**kwargs):
    """Returns the request as the server received it."""
    response = request(**kwargs)["value"]["response"]
    body = b""
    while True:
        answer = read(response)
        body += answer["bytes"]
        if answer["value"]["end"]:
            return json.loads(body)


def failed(answer):
    """Returns the failure kind of a reply, "refused" if the host call itself failed, or None."""
    if "value" in answer:
        return answer["value"].get("failed") if answer["value"] else None
    return "refused" if "failed" in answer or "error" in answer else None


def refuses(answer, *kinds):
    assert failed(answer) in kinds, answer


# Raw host calls


@case
def invalid_response_numbers_read_nothing():
    first = request()["value"]["response"]
    for number in (-1, 1.5, 2**32, 2**64, -(2**63), "1", None, True, [], {}):
        refuses(read(number), "refused")
        refuses(close(number), "refused")
    for number in (0, first + 1, 2**31, 2**32 - 1):
        refuses(read(number), "protocol")
        close(number)
    assert read(first)["bytes"].startswith(b'{"method": "GET"')
    close(first)
    again = read(first)
    assert again["value"]["end"] and again["bytes"] == b""


@case
def read_sizes_are_bounded():
    response = request()["value"]["response"]
    for most in (-1, 1.5, 2**64, "1", None):
        refuses(read(response, most), "refused")
    assert read(response, 0)["bytes"] == b"{"
    assert 1 <= len(read(response, 2**63)["bytes"]) <= 1 << 20
    close(response)


@case
def invalid_calls_are_refused():
    for name in ("$http", "$http_read", "$http_close"):
        for args in (None, [], 5, "x", {}, {"respons": 1}):
            refuses(call(name, args), "refused")
    for name in ("$", "$http_", "$HTTP", "$http\0", "$http_read ", "$" * 10_000):
        refuses(call(name, {}), "refused")
    for headers in (None, "x", {"a": "b"}, [["a"]], [["a", "b", "c"]], [[1, 2]]):
        refuses(request(headers=headers), "refused")
    for timeout in ("x", [], True, float("inf"), float("nan")):
        refuses(request(timeout=timeout), "refused")
    for port in (-1, 70_000, "80"):
        refuses(call("$http_reach", {"host": "127.0.0.1", "port": port}), "refused")


@case
def out_of_range_timeouts_are_ignored():
    for timeout in (-1, 1e308, 2**64):
        assert echoed(timeout=timeout)["path"] == "/echo"


# Headers and methods


@case
def headers_cannot_be_smuggled():
    for name, value in (
        ("a", "b\r\nc: d"),
        ("a", "b\nc: d"),
        ("a", "b\0"),
        ("a", "\u010d\u010a"),
        ("a\r\nb", "c"),
        ("a: b", "c"),
        ("a b", "c"),
        ("", "c"),
    ):
        refuses(request(headers=[[name, value]]), "protocol")


@case
def connection_headers_are_set_by_the_host():
    received = echoed(
        headers=[
            ["Host", "example.com"],
            ["Connection", "keep-alive, X"],
            ["Content-Length", "99"],
            ["Transfer-Encoding", "chunked"],
            ["Upgrade", "websocket"],
            ["Expect", "100-continue"],
            ["Proxy-Authorization", "x"],
            ["X-Own", "passes"],
        ]
    )
    assert dict(received["headers"]) == {
        "accept": "*/*",
        "host": f"127.0.0.1:{HTTP_PORT}",
        "x-own": "passes",
    }


@case
def libraries_cannot_name_another_host():
    asked = urllib.request.Request(f"{HTTP}/echo", headers={"Host": "example.com"})
    with urllib.request.urlopen(asked) as response:
        echo = json.load(response)
    assert dict(echo["headers"])["host"] == f"127.0.0.1:{HTTP_PORT}"


@case
def methods_cannot_be_smuggled():
    for method in ("", "GET / HTTP/1.1\r\na: b\r\n\r\nGET", "G\0T", "GET /", "\u00e9"):
        refuses(request(method=method), "protocol")
    for method in ("CONNECT", "TRACE"):
        refuses(request(method=method), "denied")


# URLs


@case
def invalid_urls_are_refused():
    for url in (
        "",
        "x",
        "//",
        "http://",
        "http:///",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:-1/",
        "http://xn--/",
        "http://[::1/",
        "http://a b/",
        f"http://user:password@127.0.0.1:{HTTP_PORT}/",
        f"http://127.0.0.1:{HTTP_PORT}@example.com/",
    ):
        refuses(request(url=url), "protocol")
    refuses(request(url=f"{HTTP}/echo?{'a' * 17_000}"), "too_large")


@case
def only_http_urls_of_allowed_hosts_are_requested():
    for url in (
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        f"ws://127.0.0.1:{HTTP_PORT}/",
        "data:,x",
        "javascript:1",
        "http://127.0.0.1/",
        f"http://[::1]:{HTTP_PORT}/",
        f"http://[::ffff:127.0.0.1]:{HTTP_PORT}/",
        f"http://0.0.0.0:{HTTP_PORT}/",
        f"http://127.0.0.2:{HTTP_PORT}/",
        "http://169.254.169.254/latest/meta-data",
        "http://a" + ".b" * 5000,
        DENIED,
    ):
        refuses(request(url=url), "denied")


@case
def other_notations_of_an_address_are_normalised():
    for host in (
        "0x7f000001",
        "2130706433",
        "127.1",
        "%31%32%37.0.0.1",
        "\uff11\uff12\uff17.0.0.1",
    ):
        received = echoed(url=f"http://{host}:{HTTP_PORT}/echo")
        assert dict(received["headers"])["host"] == f"127.0.0.1:{HTTP_PORT}"
    for host in ("0x7f000002", "2130706434", "127.2", "%31%32%37.0.0.2"):
        refuses(request(url=f"http://{host}:{HTTP_PORT}/echo"), "denied")


@case
def a_line_break_in_a_url_adds_no_header():
    received = echoed(url=f"{HTTP}/echo?\r\nX-Odd: 1\r\n\r\nGET /other HTTP/1.1")
    assert received["path"].startswith("/echo?")
    assert dict(received["headers"]).keys() == {"accept", "host"}


@case
def libraries_cannot_open_other_urls():
    for url in ("file:///etc/passwd", "file://127.0.0.1/etc/passwd", "ftp://127.0.0.1/x"):
        raises(OSError, urllib.request.urlopen, url)
    odd = f"http://user:password@127.0.0.1:{HTTP_PORT}/"
    raises((OSError, http.client.InvalidURL), urllib.request.urlopen, odd)


@case
def redirects_are_checked_again():
    for url in ("http://127.0.0.1:1/", DENIED, "http://169.254.169.254/", "file:///etc/passwd"):
        asked = f"{HTTP}/redirect?{urllib.parse.quote(url)}"
        raises(OSError, urllib.request.urlopen, asked)
        # The host follows no redirect itself.
        answer = request(url=asked)["value"]
        assert answer["status"] == 302
        close(answer["response"])


# Invalid responses


@case
def responses_that_are_not_http_are_failures():
    for path in ("nonsense", "injected", "switch"):
        refuses(request(url=f"{HTTP}/{path}"), "protocol")
    refuses(request(url=f"https://127.0.0.1:{HTTP_PORT}/"), "tls")
    refuses(request(url=f"http://localhost:{HTTPS.rpartition(':')[2]}/"), "protocol")


@case
def a_truncated_body_is_a_failure():
    response = request(url=f"{HTTP}/short")["value"]["response"]
    body = b""
    while not failed(answer := read(response)):
        body += answer["bytes"]
    assert body == b"only this"
    refuses(answer, "protocol")
    close(response)


@case
def missing_responses_time_out():
    refuses(request(url=f"{HTTP}/hang", timeout=0.01), "timeout")
    refuses(request(url=f"{HTTP}/hang", timeout=1e-300), "timeout")
    answer = request(url=f"{HTTP}/drip")["value"]
    assert read(answer["response"])["bytes"] == b"begins"
    late = {"response": answer["response"], "most": 1, "timeout": 0.01}
    refuses(call("$http_read", late), "timeout")
    close(answer["response"])


# Limits


@case
def unread_responses_are_bounded():
    responses = []
    for _ in range(1000):
        answer = request(url=f"{HTTP}/big")
        if failed(answer) is None:
            responses.append(answer["value"]["response"])
        else:
            refuses(answer, "limit")
    assert len(responses) == MAX_OPEN, len(responses)
    error = raises(OSError, urllib.request.urlopen, f"{HTTP}/", text=f"{MAX_OPEN} responses")
    assert error.errno == errno.EDQUOT
    for response in responses:
        close(response)
    assert urllib.request.urlopen(f"{HTTP}/").read() == b"hello"


@case
def request_bodies_are_bounded():
    url = f"{HTTP}/count"
    post = {"method": "POST", "url": url, "body": {"$bytes": 0}}
    refuses(request(b"x" * (MAX_BODY + (1 << 20)), **post), "too_large")
    refuses(request(headers=[["a", "b"]] * 101), "too_large")
    refuses(request(headers=[["a", "b" * 70_000]]), "too_large")


# The last case: it uses up the limit of host calls.


@case
def a_response_without_end_is_bounded():
    """The limit of a turn's host calls applies first: it is lower than the limit of a response."""
    with urllib.request.urlopen(f"{HTTP}/huge") as response:
        received = 0

        def read_on():
            nonlocal received
            while data := response.read(1 << 16):
                received += len(data)

        error = raises(OSError, read_on, text="bytes in calls to the host is used up")
    assert error.errno == errno.EDQUOT
    assert received < HUGE
    # The error is the limit, not a missing network.
    error = raises(OSError, urllib.request.urlopen, f"{HTTP}/", text="used up")


run_cases()
