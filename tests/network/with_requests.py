"""HTTP(S) with requests and urllib3."""

import json
import sys
import urllib.parse
import warnings

import requests
import requests.exceptions
import urllib3
import urllib3.exceptions

sys.path.append("/mnt")

from checks import (
    BIG,
    CLOSED,
    DENIED,
    HTTP,
    HTTPS,
    MAX_BODY,
    MAX_OPEN,
    STREAM,
    WRONG_NAME,
    case,
    no_new_connection,
    raises,
    run_cases,
)

ConnectionError = requests.exceptions.ConnectionError


@case
def requests_gets():
    for server in (HTTP, HTTPS):
        response = requests.get(
            f"{server}/echo", params={"a": "ä b"}, headers={"X-A": "y"}, timeout=(60, 60)
        )
        echo = response.json()
        assert response.ok
        assert echo["path"] == "/echo?a=%C3%A4+b"
        assert ["x-a", "y"] in echo["headers"]
    assert requests.get(f"{HTTP}/gzip").text == "squeezed " * 100
    assert requests.get(f"{HTTP}/none").status_code == 204
    assert requests.get(f"{HTTP}/missing").status_code == 404
    assert requests.get(f"{HTTP}/cookie").cookies.get_dict() == {"a": "1", "b": "2"}
    assert requests.head(f"{HTTPS}/big").headers["Content-Length"] == str(BIG)


@case
def requests_sends_bodies():
    url = f"{HTTPS}/echo"
    assert requests.post(url, json={"k": 1}).json()["body"] == '{"k": 1}'
    assert requests.post(url, data={"k": "ä"}).json()["body"] == "k=%C3%A4"
    files = {"f": ("name.txt", b"content")}
    echo = requests.post(url, files=files).json()
    assert 'filename="name.txt"' in echo["body"] and "content" in echo["body"]
    parts = (b"%d," % number for number in range(4))
    assert requests.post(url, data=parts).json()["body"] == "0,1,2,3,"
    assert requests.request("PATCH", url).json()["method"] == "PATCH"


@case
def requests_follows_redirects():
    response = requests.get(f"{HTTP}/redirect")
    assert [one.status_code for one in response.history] == [302]
    assert response.json()["path"] == "/echo?redirected"
    elsewhere = f"{HTTP}/redirect?{urllib.parse.quote(HTTPS + '/echo')}"
    secret = {"Authorization": "for the first one only"}
    response = requests.get(elsewhere, headers=secret)
    assert response.url == f"{HTTPS}/echo"
    assert not any(name == "authorization" for name, _ in response.json()["headers"])


@case
def a_session_streams_and_keeps_its_connection():
    with requests.Session() as session:
        with session.get(f"{HTTPS}/stream", stream=True) as response:
            assert list(response.iter_lines()) == STREAM.splitlines()
        with session.get(f"{HTTPS}/big", stream=True) as response:
            assert sum(map(len, response.iter_content(8192))) == BIG
        with no_new_connection():
            for _ in range(4):
                assert session.get(f"{HTTPS}/").text == "hello"


@case
def a_closed_response_frees_its_slot():
    with requests.Session() as session:
        for _ in range(2 * MAX_OPEN):
            with session.get(f"{HTTP}/big", stream=True) as response:
                response.raw.read(10)


@case
def requests_reports_the_reason_of_a_failure():
    raises(ConnectionError, requests.get, DENIED, text="not among the allowed hosts")
    raises(ConnectionError, requests.get, CLOSED)
    raises(requests.exceptions.SSLError, requests.get, WRONG_NAME)
    raises(requests.exceptions.Timeout, requests.get, f"{HTTP}/hang", timeout=0.05)
    raises(ConnectionError, requests.get, f"{HTTP}/nonsense")
    broken = (ConnectionError, requests.exceptions.ChunkedEncodingError)
    raises(broken, requests.get, f"{HTTP}/short")


@case
def certificates_are_verified_with_any_setting():
    warnings.simplefilter("ignore")
    assert requests.get(f"{HTTPS}/", verify=False).text == "hello"
    raises(requests.exceptions.SSLError, requests.get, WRONG_NAME, verify=False)
    raises(OSError, requests.get, f"{HTTPS}/", cert="/nowhere.pem")


@case
def proxies_are_refused():
    for url in ("http://example.com/", "https://example.com/"):
        proxies = {"http": HTTP, "https": HTTP}
        raises(ConnectionError, requests.get, url, proxies=proxies, text="prox")


@case
def bodies_are_bounded():
    url = f"{HTTP}/count"
    assert requests.post(url, data=b"x" * MAX_BODY).text == str(MAX_BODY)
    raises(OSError, requests.post, url, data=b"x" * (MAX_BODY + 1), text="at most")
    parts = (b"x" * (1 << 20) for _ in range(17))
    raises(OSError, requests.post, url, data=parts, text="at most")


@case
def urllib3_makes_requests():
    pool = urllib3.PoolManager()
    assert pool.request("GET", f"{HTTPS}/").data == b"hello"
    assert pool.request("GET", f"{HTTP}/redirect").status == 200
    echo = pool.request("POST", f"{HTTP}/echo", fields={"a": "b"})
    assert 'name="a"' in json.loads(echo.data)["body"]
    error = urllib3.exceptions.MaxRetryError
    raises(error, pool.request, "GET", f"{HTTP}/hang", timeout=0.05, retries=1)
    raises(error, pool.request, "GET", DENIED, retries=0, text="not among the allowed hosts")


run_cases()
