"""The requests that Open WebUI's code interpreter makes to a Jupyter server, with a token and with a password.

Arguments: URL TOKEN.
"""

import asyncio
import json
import sys
import uuid

import aiohttp
import websockets

URL, TOKEN = sys.argv[1:]


async def run(code, token=None, password=None):
    """Runs code in a kernel of its own and returns stdout, stderr and result."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(base_url=URL + "/", cookie_jar=jar) as session:
        params = {"token": token} if token else {}
        headers = {}
        if password:
            async with session.get("login") as response:
                response.raise_for_status()
                xsrf = response.cookies["_xsrf"].value
            session.headers.update({"X-XSRFToken": xsrf})
            form = {"_xsrf": xsrf, "password": password}
            async with session.post("login", data=form, allow_redirects=False) as response:
                response.raise_for_status()
            cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in jar)
            headers = {"Cookie": cookies, "X-XSRFToken": xsrf}
        async with session.post("api/kernels", params=params) as response:
            response.raise_for_status()
            kernel = (await response.json())["id"]
        try:
            query = f"?token={token}" if token else ""
            address = f"{URL.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels{query}"
            async with websockets.connect(address, additional_headers=headers) as socket:
                return await execute(socket, code)
        finally:
            async with session.delete(f"api/kernels/{kernel}", params=params) as response:
                assert response.status == 204, response.status


async def execute(socket, code):
    message = uuid.uuid4().hex
    header = {
        "msg_id": message,
        "msg_type": "execute_request",
        "username": "user",
        "session": uuid.uuid4().hex,
        "date": "",
        "version": "5.3",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    request = {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
    }
    await socket.send(json.dumps(request))
    stdout, stderr, result = "", "", []
    while True:
        message_data = json.loads(await asyncio.wait_for(socket.recv(), 300))
        if message_data.get("parent_header", {}).get("msg_id") != message:
            continue
        content = message_data["content"]
        match message_data["msg_type"]:
            case "stream" if content["name"] == "stdout":
                stdout += content["text"]
            case "stream":
                stderr += content["text"]
            case "execute_result" | "display_data":
                data = content["data"]
                if "image/png" in data:
                    result.append(f"data:image/png;base64,{data['image/png']}")
                elif "text/plain" in data:
                    result.append(data["text/plain"])
            case "error":
                stderr += "\n".join(content["traceback"])
            case "status" if content["execution_state"] == "idle":
                return stdout, stderr, "\n".join(result)


async def main():
    stdout, stderr, result = await run("print('hello')\n6 * 7", token=TOKEN)
    assert (stdout, stderr, result) == ("hello\n", "", "42"), (stdout, stderr, result)
    stdout, stderr, result = await run("1 / 0", token=TOKEN)
    assert "ZeroDivisionError: division by zero" in stderr, stderr
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()"
    stdout, stderr, result = await run(plot, token=TOKEN)
    assert result.startswith("data:image/png;base64,iVBOR"), (stderr, result[:80])
    stdout, stderr, result = await run("print('by password')", password=TOKEN)
    assert stdout == "by password\n", (stdout, stderr)
    try:
        await run("print(1)", password="wrong")
    except aiohttp.ClientResponseError as error:
        assert error.status in (401, 403), error
    else:
        raise AssertionError("a wrong password was accepted")
    print("done")


asyncio.run(main())
