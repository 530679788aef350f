# Digests, base64 and compression: fixed results and round trips.
import base64
import gzip
import hashlib
import hmac
import io
import zipfile
import zlib

data = b"The quick brown fox jumps over the lazy dog"
for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b"):
    print(name, hashlib.new(name, data).hexdigest()[:40])
print(hmac.new(b"key", data, hashlib.sha256).hexdigest(), hashlib.blake2s(data, digest_size=8).hexdigest())
digest = hashlib.sha256()
for i in range(0, len(data), 7):
    digest.update(data[i : i + 7])
print(digest.digest() == hashlib.sha256(data).digest(), hmac.compare_digest("a", "a"))
print(base64.b64encode(data[:10]), base64.urlsafe_b64encode(b"\xfb\xff"), base64.b32encode(b"hi"), base64.b85encode(b"hello"), base64.b16encode(b"\xab"))
print(base64.b64decode("aGk="), zlib.crc32(data), zlib.adler32(data))
big = data * 500
for module in (zlib, gzip):
    small = module.compress(big)
    print(module.__name__, len(small) < len(big) // 10, module.decompress(small) == big)
stream = io.BytesIO()
with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("a/b.txt", big)
    archive.writestr("c.txt", "short")
with zipfile.ZipFile(stream) as archive:
    print(archive.namelist(), archive.read("a/b.txt") == big, archive.getinfo("c.txt").file_size, archive.testzip())
try:
    zlib.decompress(b"nonsense")
except zlib.error:
    print("zlib.error")
