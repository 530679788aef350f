"""`hashlib.pbkdf2_hmac` and `hashlib.scrypt`, which CPython has only with OpenSSL."""

import base64
import hashlib
import json
import operator

import _host

_MAX_LENGTH = 2**31 - 1
_DEFAULT_MEMORY = 32 * 1024 * 1024


def pbkdf2_hmac(hash_name, password, salt, iterations, dklen=None):
    """Derives a key from a password (PKCS #5), with HMAC of a hash."""
    if not isinstance(hash_name, str):
        raise TypeError("hash_name must be a string")
    password, salt = _bytes(password, "password"), _bytes(salt, "salt")
    iterations = operator.index(iterations)
    inner, outer = hashlib.new(hash_name), hashlib.new(hash_name)
    if dklen is None:
        dklen = outer.digest_size
    if iterations < 1:
        raise ValueError("iteration value must be greater than 0.")
    if not 1 <= operator.index(dklen) <= _MAX_LENGTH:
        raise ValueError("key length must be greater than 0.")
    if len(password) > inner.block_size:
        password = hashlib.new(hash_name, password).digest()
    password = password.ljust(inner.block_size, b"\0")
    inner.update(bytes(byte ^ 0x36 for byte in password))
    outer.update(bytes(byte ^ 0x5C for byte in password))
    blocks = range(1, -(-dklen // outer.digest_size) + 1)
    key = b"".join(_block(inner, outer, salt, iterations, number) for number in blocks)
    return key[:dklen]


def _block(inner, outer, salt, iterations, number):
    copy_inner, copy_outer, from_bytes = inner.copy, outer.copy, int.from_bytes
    text = salt + number.to_bytes(4)
    mixed = 0
    for _ in range(iterations):
        first = copy_inner()
        first.update(text)
        second = copy_outer()
        second.update(first.digest())
        text = second.digest()
        mixed ^= from_bytes(text)
    return mixed.to_bytes(outer.digest_size)


def scrypt(password, *, salt, n, r, p, maxmem=0, dklen=64):
    """Derives a key from a password (RFC 7914). The host does the part that needs memory."""
    password, salt = _bytes(password, "password"), _bytes(salt, "salt")
    n, r, p, dklen = (operator.index(one) for one in (n, r, p, dklen))
    if n < 2 or n & (n - 1):
        raise ValueError("n must be a power of 2.")
    if r < 1 or p < 1 or r * p >= 2**30:
        raise ValueError("Invalid parameter combination for n, r, p and maxmem.")
    if not 0 <= maxmem <= _MAX_LENGTH:
        raise ValueError(f"maxmem must be positive and smaller than {_MAX_LENGTH}")
    if not 1 <= dklen <= _MAX_LENGTH:
        raise ValueError(f"dklen must be greater than 0 and smaller than {_MAX_LENGTH}")
    if 128 * r * (n + p + 2) > (maxmem or _DEFAULT_MEMORY):
        raise ValueError("Invalid parameter combination for n, r, p and maxmem: memory limit exceeded.")
    size = 128 * r
    blocks = pbkdf2_hmac("sha256", password, salt, 1, p * size)
    mixed = [_mix(blocks[at : at + size], n) for at in range(0, p * size, size)]
    return pbkdf2_hmac("sha256", password, b"".join(mixed), 1, dklen)


def _mix(block, n):
    data = base64.b64encode(block)
    reply = json.loads(_host.call(b'{"op":"scrypt","n":%d,"data":"%b"}' % (n, data)))
    if "data" not in reply:
        raise ValueError(reply.get("error", "the host rejected the parameters"))
    return base64.b64decode(reply["data"])


def _bytes(data, name):
    if isinstance(data, str) or not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name} must be a bytes-like object, not {type(data).__name__}")
    return bytes(data)


def install():
    """Installs both functions. Called while the image is made."""
    for function in (pbkdf2_hmac, scrypt):
        if not hasattr(hashlib, function.__name__):
            function.__module__ = "hashlib"
            setattr(hashlib, function.__name__, function)
