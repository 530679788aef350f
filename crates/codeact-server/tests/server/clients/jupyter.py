"""Clients of Jupyter: jupyter-kernel-client, the subprotocol with jupyter_server's own encoding, and the calls of
smolagents' Docker executor.

Arguments: URL TOKEN.
"""

import json
import sys
import uuid

import requests
import websocket
from jupyter_kernel_client import JupyterKernelClient
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)

URL, TOKEN = sys.argv[1:]
AUTH = {"Authorization": f"token {TOKEN}"}


def kernel_client():
    with JupyterKernelClient(server_url=URL, token=TOKEN) as kernel:
        info = kernel.kernel_info
        assert info["language_info"]["name"] == "python", info
        reply = kernel.execute("print('hello')\n1 + 1", timeout=300)
        assert reply["status"] == "ok" and reply["execution_count"] == 1, reply
        assert [output["output_type"] for output in reply["outputs"]] == ["stream", "execute_result"], reply
        assert reply["outputs"][1]["data"]["text/plain"] == "2", reply
        reply = kernel.execute("print(input('name? '))", allow_stdin=True, stdin_hook=answer(kernel), timeout=300)
        assert reply["outputs"][-1]["text"] == "Ada\n", reply
        reply = kernel.execute("undefined", timeout=300)
        assert reply["status"] == "error", reply
        assert reply["outputs"][0]["ename"] == "NameError", reply
        kernel.restart()
        reply = kernel.execute("7", timeout=300)
        assert reply["execution_count"] == 1, reply


def answer(kernel):
    def hook(message):
        assert message["content"]["prompt"] == "name? ", message
        kernel._manager.client.input("Ada")

    return hook


def subprotocol():
    """Runs code over binary frames."""
    name = "v1.kernel.websocket.jupyter.org"
    kernel = requests.post(f"{URL}/api/kernels", headers=AUTH).json()["id"]
    address = f"{URL.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels"
    socket = websocket.create_connection(address, timeout=300, subprotocols=[name], header=AUTH)
    assert socket.subprotocol == name
    header = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "version": "5.3"}
    message = {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": {"code": "print('é')\n3"},
    }
    pack = lambda part: json.dumps(part).encode()
    socket.send_binary(serialize_msg_to_ws_v1(message, "shell", pack))
    seen = []
    while "execute_reply" not in seen or seen[-1] != "idle":
        channel, parts = deserialize_msg_from_ws_v1(socket.recv())
        header, parent, _, content = map(json.loads, parts[:4])
        assert parent["msg_id"] == "1", parent
        kind = header["msg_type"]
        assert channel == ("shell" if kind == "execute_reply" else "iopub"), (channel, kind)
        if kind == "stream":
            assert content["text"] == "é\n", content
        seen.append(content["execution_state"] if kind == "status" else kind)
    expected = ["busy", "execute_input", "stream", "execute_result", "execute_reply", "idle"]
    assert seen == expected, seen
    socket.close()


def smolagents():
    """Sends messages without a channel, and finds the replies by their parent."""
    specs = requests.get(f"{URL}/api/kernelspecs", headers=AUTH)
    assert specs.status_code == 200
    response = requests.post(f"{URL}/api/kernels", headers=AUTH)
    assert response.status_code == 201, response.text
    kernel = response.json()["id"]
    address = f"{URL.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels?token={TOKEN}"
    socket = websocket.create_connection(address, timeout=300)
    message = str(uuid.uuid4())
    request = {
        "header": {
            "msg_id": message,
            "username": "anonymous",
            "session": str(uuid.uuid4()),
            "msg_type": "execute_request",
            "version": "5.0",
        },
        "parent_header": {},
        "metadata": {},
        "content": {
            "code": "print('from smolagents')\n3",
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
        },
    }
    socket.send(json.dumps(request))
    seen = []
    while "execute_reply" not in seen or seen[-1] != "idle":
        reply = json.loads(socket.recv())
        if reply.get("parent_header", {}).get("msg_id") != message:
            continue
        kind = reply["msg_type"]
        seen.append(reply["content"]["execution_state"] if kind == "status" else kind)
    expected = ["busy", "execute_input", "stream", "execute_result", "execute_reply", "idle"]
    assert seen == expected, seen
    socket.close()
    assert requests.delete(f"{URL}/api/kernels/{kernel}", headers=AUTH).status_code == 204
    assert requests.get(f"{URL}/api/kernels/{kernel}", headers=AUTH).status_code == 404


kernel_client()
subprotocol()
smolagents()
print("done")
