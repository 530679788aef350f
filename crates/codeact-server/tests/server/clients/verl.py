"""The request that verl's reward function makes to SandboxFusion, and the checks of its reply. Arguments: URL TOKEN."""

import sys

import requests

URL, TOKEN = sys.argv[1:]


def call(code, stdin, timeout, language="python"):
    """Returns the outcome of a test case as verl classifies it, and the stdout."""
    payload = {
        "compile_timeout": timeout,
        "run_timeout": timeout,
        "code": code,
        "stdin": stdin,
        "memory_limit_MB": 1024,
        "language": language,
        "files": {},
        "fetch_files": [],
    }
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Authorization": f"Bearer {TOKEN}",
    }
    response = requests.post(f"{URL}/run_code", headers=headers, json=payload, timeout=600)
    response.raise_for_status()
    reply = response.json()
    run = reply["run_result"]
    match reply["status"]:
        case "SandboxError":
            return "sandbox error", reply["message"]
        case "Success":
            assert run["status"] == "Finished" and run["return_code"] == 0, reply
            return "success", run["stdout"]
        case "Failed":
            if run["status"] == "TimeLimitExceeded":
                return "timeout", run["stdout"]
            assert run["return_code"] != 0, reply
            return "runtime error", run["stderr"]
    raise AssertionError(reply)


assert call("print(int(input()) * 2)", "21\n", 30) == ("success", "42\n")
kind, stderr = call("raise SystemExit(3)", "", 30)
assert kind == "runtime error"
kind, stderr = call("def f():\n    return 1 / 0\nf()", "", 30)
assert kind == "runtime error" and "ZeroDivisionError" in stderr, stderr
kind, stdout = call("print('before')\nwhile True: pass", "", 1)
assert kind == "timeout" and stdout == "before\n", (kind, stdout)
kind, message = call("int main() {}", "", 30, "cpp")
assert kind == "sandbox error" and "cpp" in message, message
main = "import sys\nif __name__ == '__main__':\n    sys.stdout.write(sys.stdin.read())"
assert call(main, "a\nb", 30) == ("success", "a\nb")
print("done")
