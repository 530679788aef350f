"""Files of a sandbox with E2B's SDK. Run by the tests; the server is named by E2B's environment variables."""

import gzip
import io
import time
import urllib.error
import urllib.request

from e2b import FileType, FilesystemEventType, NotFoundException, Sandbox
from e2b.exceptions import InvalidArgumentException, NotEnoughSpaceException
import e2b


def until(what, look):
    deadline = time.monotonic() + 120
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}")


sandbox = Sandbox.create(timeout=600)
files = sandbox.files

# Text and bytes, relative and absolute paths, parent folders.
info = files.write("notes/a.txt", "first ä")
assert (info.path, info.name, info.type) == ("/home/user/notes/a.txt", "a.txt", FileType.FILE), info
assert files.read("notes/a.txt") == "first ä"
assert files.read("/home/user/notes/a.txt") == files.read("~/notes/a.txt")
data = bytes(range(256)) * 1000
files.write("/tmp/data.bin", data)
assert bytes(files.read("/tmp/data.bin", format="bytes")) == data
assert b"".join(files.read("/tmp/data.bin", format="stream")) == data
assert bytes(files.read("/tmp/data.bin", format="bytes", gzip=True)) == data
files.write("empty.txt", "")
assert files.read("empty.txt") == ""
files.write("stream.bin", io.BytesIO(data))
assert bytes(files.read("stream.bin", format="bytes")) == data
files.write("chunks.bin", iter([b"one ", b"two"]))
assert files.read("chunks.bin") == "one two"
files.write("packed.txt", "x" * 100_000, gzip=True)
assert files.read("packed.txt") == "x" * 100_000
written = files.write_files([{"path": "many/1.txt", "data": "one"}, {"path": "many/2.txt", "data": b"two"}])
assert [entry.path for entry in written] == ["/home/user/many/1.txt", "/home/user/many/2.txt"]

# Listings and attributes.
assert [(e.name, e.type) for e in files.list("many")] == [("1.txt", FileType.FILE), ("2.txt", FileType.FILE)]
files.make_dir("tree/a/b")
files.write("tree/a/b/deep.txt", "x")
assert [e.name for e in files.list("tree")] == ["a"]
assert [e.path.removeprefix("/home/user/") for e in files.list("tree", depth=3)] == [
    "tree/a", "tree/a/b", "tree/a/b/deep.txt",
]
entry = files.get_info("many/1.txt")
assert (entry.size, entry.mode, entry.permissions, entry.owner) == (3, 0o644, "-rw-r--r--", "user"), entry
assert abs(entry.modified_time.timestamp() - time.time()) < 3600
entry = files.get_info("tree")
assert (entry.type, entry.permissions) == (FileType.DIR, "drwxr-xr-x"), entry
assert files.exists("many/1.txt") and not files.exists("many/3.txt")
assert files.make_dir("new") is True and files.make_dir("new") is False
raises(InvalidArgumentException, lambda: files.make_dir("many/1.txt"))
renamed = files.rename("many/1.txt", "moved/to/one.txt")
assert renamed.path == "/home/user/moved/to/one.txt" and not files.exists("many/1.txt")
files.remove("moved")
assert not files.exists("moved/to/one.txt")
files.remove("was-never-there")

# Errors are those of the SDK.
missing = getattr(e2b, "FileNotFoundException", NotFoundException)
raises(missing, lambda: files.read("missing.txt"))
raises(missing, lambda: files.get_info("missing.txt"))
raises(missing, lambda: files.list("missing"))
raises(missing, lambda: files.rename("missing.txt", "other.txt"))
raises(InvalidArgumentException, lambda: files.read("tree"))
raises(InvalidArgumentException, lambda: files.list("many/2.txt"))
raises(InvalidArgumentException, lambda: files.write("tree", "a folder"))
raises(InvalidArgumentException, lambda: files.get_info("nul\0byte"))
raises(e2b.AuthenticationException, lambda: files.get_info("many", user="mallory"))
assert files.get_info("many", user="root").path == "/home/user/many"

# Metadata.
files.write("labelled.txt", "x", metadata={"Author": "me"})
assert files.get_info("labelled.txt").metadata == {"author": "me"}
files.rename("labelled.txt", "renamed.txt")
assert files.get_info("renamed.txt").metadata == {"author": "me"}
files.write("renamed.txt", "y")
assert files.get_info("renamed.txt").metadata is None

# Paths cannot leave the sandbox.
assert "root:" not in (files.read("/etc/passwd") if files.exists("/etc/passwd") else "")
raises(missing, lambda: files.read("../../../../../../etc/shadow"))
files.write("../../tmp/up.txt", "inside")
assert files.read("/tmp/up.txt") == "inside"

# The code sees the files, and the client those of the code.
assert sandbox.commands.run("python -c 'print(open(\"notes/a.txt\").read())'").stdout == "first ä\n"
sandbox.commands.run("python -c 'import os; os.symlink(\"notes/a.txt\", \"link\")'")
link = files.get_info("link")
assert (link.type, link.symlink_target) == (FileType.SYMLINK, "notes/a.txt"), link

# Watchers.
watcher = files.watch_dir("notes", recursive=False)
assert watcher.get_new_events() == []
files.write("notes/new.txt", "1")
events = [(e.name, e.type) for e in watcher.get_new_events()]
assert events == [("new.txt", FilesystemEventType.CREATE), ("new.txt", FilesystemEventType.WRITE)], events
files.write("notes/new.txt", "longer")
assert [(e.name, e.type) for e in watcher.get_new_events()] == [("new.txt", FilesystemEventType.WRITE)]
files.rename("notes/new.txt", "notes/newer.txt")
events = [(e.name, e.type) for e in watcher.get_new_events()]
assert events == [("new.txt", FilesystemEventType.RENAME), ("newer.txt", FilesystemEventType.CREATE)], events
sandbox.commands.run("rm notes/newer.txt; mkdir -p notes/sub && echo x > notes/sub/y")
events = [(e.name, e.type) for e in watcher.get_new_events()]
assert ("newer.txt", FilesystemEventType.REMOVE) in events and ("sub/y", FilesystemEventType.CREATE) not in events
watcher.stop()
raises(e2b.SandboxException, watcher.get_new_events)
deep = files.watch_dir("notes", recursive=True)
files.write("notes/sub/z", "1")
assert ("sub/z", FilesystemEventType.CREATE) in [(e.name, e.type) for e in deep.get_new_events()]
raises(missing, lambda: files.watch_dir("missing"))

# Signed URLs need no header.
url = sandbox.download_url("notes/a.txt")
assert "signature=v1_" in url, url
assert urllib.request.urlopen(url).read().decode() == "first ä"
for wrong in (url.replace("notes", "many"), url.replace("v1_", "v1_x"), url.split("&signature")[0]):
    error = raises(urllib.error.HTTPError, lambda: urllib.request.urlopen(wrong))
    assert error.code in (401, 404, 502), (wrong, error.code)
over = sandbox.download_url("notes/a.txt", use_signature_expiration=-10)
raises(urllib.error.HTTPError, lambda: urllib.request.urlopen(over))
boundary = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nuploaded\r\n--b--\r\n"
request = urllib.request.Request(
    sandbox.upload_url("signed.txt"), boundary, {"Content-Type": "multipart/form-data; boundary=b"}
)
urllib.request.urlopen(request)
assert files.read("signed.txt") == "uploaded"
# The signature is for one path, whatever the form says.
assert not files.exists("x")

# A file that is larger than the sandbox's limit.
raises(NotEnoughSpaceException, lambda: files.write("huge.bin", b"\0" * (9 << 20)))
assert not files.exists("huge.bin")
sandbox.kill()
assert not sandbox.is_running()
print("done")
