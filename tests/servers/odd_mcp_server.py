"""An MCP server whose schemas and responses are unusual, over stdio or, with --http, streamable HTTP with events.

Needs the standard library only. With --http, the first line on stdout is the port.
"""

import http.server
import json
import sys


def nested(levels):
    return "[" * levels + "]" * levels


def doubling(levels):
    """A schema with 2**levels steps for one text."""
    level = {"l0": {"type": "string"}}
    for n in range(levels):
        level[f"l{n + 1}"] = {"allOf": [{"$ref": f"#/$defs/l{n}"}] * 2}
    properties = {"x": {"$ref": f"#/$defs/l{levels}"}}
    return {"type": "object", "properties": properties, "$defs": level}


NULLABLE = {"type": ["string", "null"]}
TREE = {"$ref": "#/$defs/tree"}
SCHEMAS = {
    "patch": {
        "properties": {
            "id": {"type": "integer"},
            "assignee": NULLABLE,
            "limit": {"type": "integer", "default": 10},
            "state": NULLABLE | {"default": "open"},
            "note": {"type": "string"},
        },
        "required": ["id"],
    },
    "unicode": {"properties": {"größe": {"type": "integer"}, "名前": {}, "cafe\u0301": {}}},
    "doubling": doubling(39),
    "tree": {
        "properties": {"x": TREE},
        "$defs": {"tree": {"anyOf": [{"properties": {"next": TREE}}, {"properties": {"next": TREE}}]}},
    },
    "unique": {"properties": {"x": {"type": "array", "uniqueItems": True}}},
    "pattern": {"properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}},
    "endless": {"properties": {"x": {"$ref": "#/properties/x"}}},
    "deep": {"properties": {"levels": {"type": "integer"}}},
    "cut": {},
    "range": {},
    "long": {},
    "key": {},
}


def result(name, args):
    """Returns the JSON of a response's end."""
    if name == "deep":
        return '"result":{"content":[],"structuredContent":{"x":%s}}}' % nested(args["levels"])
    if name == "cut":
        return '"result":{"content":[{"type":'
    if name == "range":
        return '"result":{"content":[],"structuredContent":{"x":1e999}}}'
    if name == "key":
        return '"result":{"content":[],"structuredContent":{"KEY":["KEY"]}}}'
    if name == "long":
        return '"result":{"content":[],"structuredContent":{"x":[123456789012345678901234567890,-1]}}}'
    content = [{"type": "text", "text": json.dumps(args, ensure_ascii=False)}]
    return '"result":%s}' % json.dumps({"content": content})


def response(message):
    """Returns the text of the response to a message, or None."""
    if "id" not in message:
        return None
    start = '{"jsonrpc":"2.0","id":%s,' % json.dumps(message["id"])
    params = message.get("params", {})
    match message["method"]:
        case "initialize":
            value = {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "odd", "version": "1"},
            }
        case "tools/list":
            tools = [{"name": n, "inputSchema": {"type": "object"} | s} for n, s in SCHEMAS.items()]
            value = {"tools": tools}
        case "tools/call":
            return start + result(params["name"], params.get("arguments", {}))
        case _:
            return start + '"error":{"code":-32601,"message":"no such method"}}'
    return start + '"result":%s}' % json.dumps(value)


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = response(json.loads(body))
        if text is not None:
            text = text.replace("KEY", self.headers.get("Authorization", ""))
        self.send_response(202 if text is None else 200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if text is not None:
            self.wfile.write(b"data: %s\n\n" % text.encode())

    def do_GET(self):
        self.send_response(405)
        self.end_headers()

    do_DELETE = do_GET


if "--http" in sys.argv:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
for line in sys.stdin:
    text = response(json.loads(line))
    if text is not None:
        print(text, flush=True)
