"""A scripted MCP server over stdio or, with --http, streamable HTTP on a loopback port.

    python3 mcp_server.py [--http] [--marker FILE] MODE

Needs the standard library only. Each tool and each mode is one correct or incorrect behaviour of a server. With
--marker, the server appends events for the test (a cancellation, its process id) to that file, one a line.
"""

import argparse
import http.server
import json
import os
import subprocess
import sys
import threading
import time

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

parser = argparse.ArgumentParser()
parser.add_argument("--http", action="store_true")
parser.add_argument("--marker")
parser.add_argument("mode")
options = parser.parse_args()
mode = options.mode


def mark(line):
    if options.marker:
        with open(options.marker, "a") as file:
            file.write(f"{line}\n")


def text(value):
    return {"type": "text", "text": value}


def schema(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


# --- Tools: name -> (description, function) -------------------------------------------------------

tools = {}
grown = False


def tool(args=None, output=None, name=None):
    def add(function):
        described = {
            "name": name or function.__name__,
            "description": function.__doc__ or "",
            "inputSchema": args or schema(),
        }
        if output:
            described["outputSchema"] = output
        tools[described["name"]] = (described, function)
        return function

    return add


@tool(schema(text={"type": "string", "description": "what to say"}))
def echo(call, text):
    """Says the same again.

    Twice, if asked twice."""
    return {"content": [globals()["text"](text)]}


@tool(
    schema(a={"type": "integer"}, b={"type": "integer"}),
    schema(result={"type": "integer"}) | {"x-fastmcp-wrap-result": True},
)
def add(call, a, b):
    """Adds."""
    return {"content": [text(str(a + b))], "structuredContent": {"result": a + b}}


@tool(output=schema(city={"type": "string"}, degrees={"type": "number"}))
def weather(call):
    found = {"city": "Køge", "degrees": 3.5}
    return {"content": [text(json.dumps(found))], "structuredContent": found}


@tool()
def nothing(call):
    return {"content": []}


@tool()
def texts(call):
    return {"content": [text("one"), text("two")]}


@tool()
def mixed(call):
    return {
        "content": [
            text("a"),
            {"type": "audio", "data": "AAEC", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "x:t", "text": "embedded"}},
            {"type": "resource", "resource": {"uri": "x:b", "blob": "/w=="}},
            {"type": "resource_link", "uri": "x:l", "name": "link", "mimeType": "text/plain"},
        ]
    }


@tool()
def picture(call):
    return {"content": [{"type": "image", "data": PNG, "mimeType": "image/png"}]}


@tool()
def fail(call):
    return {"content": [text("no such record: " + "x" * 10_000)], "isError": True}


@tool()
def rpc_error(call):
    return {"error": {"code": -32602, "message": "the moon is not in the right place"}}


@tool()
def odd_answer(call):
    return {"answer": 42}


@tool()
def die(call):
    """Ends the server in the middle of the call."""
    sys.stderr.write("out of cheese in /secret/place\n")
    sys.stderr.flush()
    os._exit(7)


@tool()
def hang(call):
    """Answers when it is cancelled, which is too late."""
    mark("called")
    call.cancelled.wait()
    mark("cancelled")
    return {"content": []}


@tool()
def junk(call):
    """Sends much that is no answer before the answer."""
    if not options.http:
        for line in (b"hello!\n", b"\n", b"{\n", b"[1]\n", b'"x"\n', b"\xff\xfe\n", b"{}\n"):
            write(line)
        send({"jsonrpc": "2.0", "id": 999_999, "result": {"content": [text("wrong")]}})
        send({"jsonrpc": "2.0", "method": "notifications/unheard_of", "params": {"x": 1}})
    return {"content": [text("right")]}


@tool()
def flood(call):
    """Sends 64 MiB with no end of line."""
    for _ in range(64):
        write(b"x" * (1 << 20))
    call.cancelled.wait()


@tool()
def big(call):
    """More than the limit of an answer."""
    return {"content": [text("y" * (17 << 20))]}


@tool()
def grow(call):
    """Has one tool more from now on."""
    global grown
    grown = True
    return {"content": [text("grown")], "notify": "notifications/tools/list_changed"}


@tool()
def ask(call):
    """What the client answers to requests of the server."""
    answers = {}
    for method, params in (
        ("ping", {}),
        ("roots/list", {}),
        ("sampling/createMessage", {"messages": [], "maxTokens": 1}),
        (
            "elicitation/create",
            {"message": "?", "requestedSchema": {"type": "object", "properties": {}}},
        ),
    ):
        answers[method] = request(method, params)
    return {"content": [text(json.dumps(answers))]}


@tool(schema(name={"type": "string"}))
def variable(call, name):
    return {"content": [text(os.environ.get(name, "(none)"))]}


@tool()
def grandchild(call):
    """Starts a process that outlives this one, if it may."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return {"content": [text(str(child.pid))]}


@tool(name="import")
def keyword(call):
    return {"content": [text("imported")]}


@tool(name="files.read")
def dotted(call):
    return {"content": [text("dotted")]}


@tool(schema(**{"user-id": {"type": "string"}}), name="get-user")
def dashed(call, **args):
    return {"content": [text(json.dumps(args))]}


@tool(name="größe")
def unicode_name(call):
    return {"content": [text("ünïcode ✓")]}


ODD = [
    {"name": "good", "inputSchema": schema()},
    {"name": "no-schema", "inputSchema": "none"},
    {"name": "list-schema", "inputSchema": {"type": "array"}},
    {"name": "bad-schema", "inputSchema": {"type": "object", "properties": {"x": {"type": 5}}}},
    {"name": "missing-schema"},
    {"inputSchema": schema()},
    {"name": "a-b", "inputSchema": schema()},
    {"name": "a_b", "inputSchema": schema()},
    {"name": "n" * 1000, "inputSchema": schema()},
    {"name": "wordy", "description": "w" * (1 << 20), "inputSchema": schema()},
    {
        "name": "circle",
        "inputSchema": {
            **schema(x={"$ref": "#/$defs/A"}),
            "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}] * 12}},
        },
    },
]


def listed(cursor):
    if mode == "many":
        start = int(cursor or 0)
        page = [{"name": f"t{n}", "inputSchema": schema()} for n in range(start, start + 500)]
        return {"tools": page, **({"nextCursor": str(start + 500)} if start < 4500 else {})}
    if mode == "endless":
        return {"tools": [{"name": "t" + (cursor or ""), "inputSchema": schema()}],
                "nextCursor": (cursor or "") + "x"}
    if mode == "odd":
        return {"tools": ODD}
    if mode == "broken-list":
        return {"tools": 5}
    extra = [{"name": "grown", "inputSchema": schema()}] if grown else []
    return {"tools": [described for described, _ in tools.values()] + extra}


# --- The protocol ---------------------------------------------------------------------------------


class Call:
    def __init__(self):
        self.cancelled = threading.Event()


calls = {}
answers = {}
lock = threading.Lock()


def answer(message):
    """Returns the result or error of a request, or None for no response."""
    method, params = message["method"], message.get("params") or {}
    if method == "initialize":
        if mode == "hang-initialize":
            time.sleep(600)
        if mode == "refuse":
            return {"error": {"code": -32000, "message": "come back tomorrow"}}
        has = {"resources": {}} if mode == "resources-only" else {"tools": {"listChanged": True}, "resources": {}}
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": has,
            "serverInfo": {"name": "scripted-server", "version": "1"},
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        if mode == "hang-list":
            time.sleep(600)
        if mode == "list-error":
            return {"error": {"code": -32603, "message": "the shelf is empty"}}
        return listed(params.get("cursor"))
    if method == "resources/list":
        note = {"uri": "note:1", "name": "note", "mimeType": "text/plain"}
        return {"resources": [note, {"uri": "blob:1", "name": "blob", "description": "bytes"}]}
    if method == "resources/read":
        found = {
            "note:1": [{"uri": "note:1", "text": "a note"}],
            "blob:1": [{"uri": "blob:1", "blob": "AP8="}],
            "both:1": [{"uri": "note:1", "text": "a note"}, {"uri": "blob:1", "blob": "AP8="}],
        }.get(params["uri"])
        if not found:
            return {"error": {"code": -32002, "message": "no such resource"}}
        return {"contents": found}
    if method == "tools/call":
        if params["name"] == "grown":
            return {"content": [text("I am new")]}
        call = calls.setdefault(message["id"], Call())
        return tools[params["name"]][1](call, **(params.get("arguments") or {}))
    return {"error": {"code": -32601, "message": f"no {method}"}}


def notified(message):
    if message["method"] == "notifications/cancelled":
        calls.setdefault(message["params"]["requestId"], Call()).cancelled.set()


def reply(message):
    """Returns the messages to send in response to a request."""
    result = answer(message)
    if result is None:
        return []
    sent = []
    if notify := result.pop("notify", None):
        sent.append({"jsonrpc": "2.0", "method": notify})
    id = message["id"] + 1000 if mode == "wrong-id" else message["id"]
    body = {"error": result["error"]} if "error" in result else {"result": result}
    return [*sent, {"jsonrpc": "2.0", "id": id, **body}]


# --- Over stdio -----------------------------------------------------------------------------------


def write(data):
    with lock:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def send(message):
    write(json.dumps(message).encode() + b"\n")


def request(method, params):
    """Sends a request to the client and waits for the response."""
    id = f"mine-{method}"
    answers[id] = threading.Event(), []
    send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    answers[id][0].wait()
    return answers[id][1][0]


def stdio():
    mark(f"pid {os.getpid()}")
    if mode == "die-at-start":
        sys.stderr.write("z" * 100_000 + "\nthe database is locked\n")
        sys.exit(3)
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "method" not in message:
            # Errors of the client about invalid lines have no id.
            if message.get("id") in answers:
                event, got = answers[message["id"]]
                got.append(message.get("result", message.get("error")))
                event.set()
        elif "id" in message:
            work = lambda message=message: [send(one) for one in reply(message)]
            threading.Thread(target=work, daemon=True).start()
        else:
            notified(message)
    if mode == "stubborn":
        time.sleep(600)


# --- Over HTTP ------------------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, kind="text/plain", body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if mode == "unauthorized" and self.headers["Authorization"] != "Bearer letmein-please":
            return self.answer(401, WWW_Authenticate="Bearer")
        if "method" not in message:
            return self.answer(202)
        if "id" not in message:
            notified(message)
            return self.answer(202)
        if message["method"] == "tools/call" and mode == "http-500":
            return self.answer(500, body=b"oh no")
        sent = reply(message)
        if message["method"] == "tools/call":
            data = "".join(f"data: {json.dumps(one)}\n\n" for one in sent)
            return self.answer(200, "text/event-stream", data.encode())
        return self.answer(200, "application/json", json.dumps(sent[-1]).encode(), Mcp_Session_Id="s1")

    def do_GET(self):
        self.answer(405)

    def do_DELETE(self):
        mark("deleted")
        self.answer(200)

    def log_message(self, *args):
        pass


if options.http:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
else:
    stdio()
