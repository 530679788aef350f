"""A small MCP server over stdio, without dependencies: two tools and a resource."""

import json
import sys

NOTES = ["buy milk and bread", "call Ann", "milk the cow"]
TEXT = {"type": "string"}
TOOLS = [
    {
        "name": "search",
        "description": "The notes that contain a word",
        "inputSchema": {"type": "object", "properties": {"word": TEXT}, "required": ["word"]},
        "outputSchema": {"type": "object", "properties": {"notes": {"type": "array", "items": TEXT}}},
    },
    {
        "name": "count",
        "description": "The number of notes",
        "inputSchema": {"type": "object"},
    },
]


def text(value):
    return {"content": [{"type": "text", "text": value}]}


def call(name, arguments):
    if name == "count":
        return text(str(len(NOTES)))
    found = [note for note in NOTES if arguments["word"] in note]
    return text(json.dumps(found)) | {"structuredContent": {"notes": found}}


def answer(method, params):
    match method:
        case "initialize":
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}, "resources": {}},
                "serverInfo": {"name": "notes", "version": "1"},
            }
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            return call(params["name"], params.get("arguments", {}))
        case "resources/list":
            return {"resources": [{"uri": f"note:{n}", "name": f"note {n}"} for n in range(len(NOTES))]}
        case "resources/read":
            note = NOTES[int(params["uri"].removeprefix("note:"))]
            return {"contents": [{"uri": params["uri"], "mimeType": "text/plain", "text": note}]}
    return {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        result = answer(request["method"], request.get("params", {}))
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
