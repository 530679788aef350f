//! What code and readers can learn of a secret: of `--secret` from the responses of hosts, and of the model's key from
//! its replies.

use crate::model_server::{Exchange, KEY, solve};
use crate::support::{Codeact, exec};
use crate::texts_net::Web;

const VALUE: &str = r#"pa"ss\word-123"#;

/// Returns a run of `code` with the secret `TOKEN`, bound to `bound`, and `url` as the address of the server.
fn with_secret(web: &Web, bound: &str, code: &str) -> Codeact {
    let host = web.origin.trim_start_matches("http://");
    let allowed = format!("{host},{bound}");
    let secret = format!("TOKEN@{bound}");
    exec()
        .host_env("TOKEN", VALUE)
        .args(["--allow-net", &allowed, "--secret", &secret])
        .code(&format!("url = {:?}\n{code}", web.origin))
}

/// The attack read a secret character by character: a server that the secret is not bound to streams a guess, and the
/// code sees how many bytes of it are held back.
#[test]
fn what_a_stream_holds_back_does_not_depend_on_a_guess() {
    let web = Web::start("http_server.py", &[]);
    let code = format!(
        r#"
import urllib.parse
from _codeact import hostcall
def received(guess):
    text = urllib.parse.quote('-' * (500 - len(guess)) + guess)
    head = {{"method": "GET", "url": url + "/hold?" + text, "headers": [], "timeout": 60}}
    response = hostcall.call("$http", head)["response"]
    count = 0
    while True:
        got = hostcall.call("$http_read", {{"response": response, "most": 1000, "timeout": 1}})
        if "failed" in got:
            hostcall.call("$http_close", {{"response": response}})
            return count
        count += len(got["data"])
value = {VALUE:?}
# A backslash may begin an escape, so texts with one are held back longer.
sizes = {{received(guess) for guess in ["", value[:1], value[:5], "~" + value[1:5]]}}
more = {{received(guess) for guess in [value[:-1], "~" + value[1:-1]]}}
print(len(sizes), len(more), min(more) > 0)
"#
    );
    with_secret(&web, "api.example.com", &code)
        .run()
        .success()
        .stdout("1 1 True\n");
}

#[test]
fn a_secret_is_redacted_in_every_spelling_of_an_echo() {
    let web = Web::start("http_server.py", &[]);
    let host = web.origin.trim_start_matches("http://").to_owned();
    let code = r#"
import base64, json, os, urllib.parse, urllib.request
token = os.environ["TOKEN"]
def echo(body=None, **headers):
    request = urllib.request.Request(url + "/echo?k=" + token, body and body.encode(), headers)
    return urllib.request.urlopen(request).read().decode()
texts = [
    echo(json.dumps({"t": token}), **{"Content-Type": "application/json"}),
    echo(json.dumps({"t": json.dumps({"t": token})}), **{"Content-Type": "application/json"}),
    echo("t=" + token, **{"Content-Type": "application/x-www-form-urlencoded"}),
    echo(f"<a b='{token}'>", **{"Content-Type": "text/html"}),
    echo(Authorization="Basic " + base64.b64encode(f"user:{token}".encode()).decode(), X_Key=token),
]
for text in texts:
    for _ in range(3):
        text = urllib.parse.unquote(text)
        for part in ("ss", "word", "123"):
            assert part not in text, text
    assert "CODEACT_SECRET_TOKEN" in text or "Basic" in text, text
print("redacted")
"#;
    with_secret(&web, &host, code)
        .run()
        .success()
        .stdout("redacted\n");
}

#[test]
fn the_length_of_a_response_with_a_secret_is_hidden() {
    let web = Web::start("http_server.py", &[]);
    let host = web.origin.trim_start_matches("http://").to_owned();
    let code = r#"
import os, urllib.request
def lengths(method, path="/echo"):
    headers = {"X-Key": os.environ["TOKEN"]}
    response = urllib.request.urlopen(urllib.request.Request(url + path, None, headers, method=method))
    return [name for name, _ in response.headers.items() if "length" in name.lower()]
print(lengths("HEAD"), lengths("GET"))
try:
    urllib.request.urlopen(urllib.request.Request(url + "/big", None, {"Range": "bytes=0-3"}))
except OSError as e:
    print("Range" in str(e))
"#;
    with_secret(&web, &host, code)
        .run()
        .success()
        .stdout("[] []\nTrue\n");
}

#[test]
fn a_reply_that_repeats_the_key_is_shown_and_recorded_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("run.recording");
    let recording = recording.to_str().unwrap();
    let hex: String = KEY.bytes().map(|b| format!("{b:02x}")).collect();
    let reply = format!(
        "# Your key is Bearer {KEY}, or {hex}.\n```python\nprint('{KEY}')\nfinal_answer('<{KEY}>')\n```"
    );
    for (args, exchange) in [
        (vec!["-v", "--record", recording], Exchange::say(&reply)),
        (vec!["-v", "--json"], Exchange::say(&reply)),
        (vec!["-v"], Exchange::say_json(&reply)),
    ] {
        // `solve` checks that the key is in no output.
        let done = solve("t", &args, [exchange]).success();
        done.stdout_contains("<***>").stderr_lacks(&hex);
    }
    let recorded = std::fs::read(recording).unwrap();
    for secret in [KEY, &hex] {
        let found = recorded
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}
