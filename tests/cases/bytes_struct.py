# Bytes, byte arrays, memory views, and struct with explicit little-endian and big-endian formats.
import array
import binascii
import struct

packed = struct.pack("<BhIqfd4s?", 255, -2, 4_000_000_000, -(2**60), 1.5, -0.1, b"ab", True)
print(packed.hex(" "), struct.calcsize("<BhIqfd4s?"), struct.unpack("<BhIqfd4s?", packed))
print(struct.pack(">IH", 1, 2), struct.unpack_from("<H", b"\x00\x01\x02", 1), list(struct.iter_unpack("<H", b"\x01\x00\x02\x00")))
for bad in (lambda: struct.pack("<B", 256), lambda: struct.unpack("<I", b"abc")):
    try:
        bad()
    except struct.error as error:
        print("struct.error")
data = bytearray(b"hello")
data[0] = ord("J")
data += b"!"
data[1:3] = b"EEE"
del data[-1]
print(data, bytes(data).upper(), data.find(b"l"), data.count(b"E"), b"%s-%d" % (b"x", 5))
view = memoryview(data)
view[0:2] = b"ab"
print(data, view[1:4].tolist(), view[::2].tobytes(), view.nbytes)
view.release()
print((1000).to_bytes(3, "big"), int.from_bytes(b"\xff\xfe", "little", signed=True), bytes.fromhex("00 ff"), bytes(3), bytes([1, 2]))
print(array.array("H", [1, 65535]).tolist(), array.array("d", [0.5, 2]).tobytes().hex(), binascii.crc32(b"abc"))
print(b"a b".split(), b"ab".translate(bytes.maketrans(b"a", b"z")), b"\x00\n\xff'", b"abc"[1], b"abc"[1:2], sorted(b"cab"))
try:
    b"" + ""
except TypeError as error:
    print(type(error).__name__)
