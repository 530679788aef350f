"""A replacement of the `_ssl` module without OpenSSL: the host implements TLS and verifies the peer.

Nothing is encrypted in the sandbox. A handshake only marks the connection, so that the host uses
HTTPS. The host always verifies the peer, with its own root certificates: `verify_mode`,
`check_hostname` and loaded CAs can be set, as libraries do, without effect. The certificate of the
peer is not available, and client certificates are refused.
"""

import os
import sys

# Written to a connection first, to make it use HTTPS.
HELLO = b"\x16codeact: HTTPS\0"


class SSLError(OSError):
    """An error occurred in the SSL implementation."""

    __module__ = "ssl"
    library = reason = None

    def __str__(self):
        return self.strerror if isinstance(self.strerror, str) else str(self.args)


def _error(name, *bases):
    return type(name, bases, {"__module__": "ssl"})


SSLZeroReturnError = _error("SSLZeroReturnError", SSLError)
SSLWantReadError = _error("SSLWantReadError", SSLError)
SSLWantWriteError = _error("SSLWantWriteError", SSLError)
SSLSyscallError = _error("SSLSyscallError", SSLError)
SSLEOFError = _error("SSLEOFError", SSLError)


class SSLCertVerificationError(SSLError, ValueError):
    """A certificate could not be verified."""

    __module__ = "ssl"
    verify_code = 1

    @property
    def verify_message(self):
        return self.strerror


class SSLSession:
    """A TLS session. It exists for `isinstance`: no session is ever resumed."""


class MemoryBIO:
    """A buffer between a TLS connection and the code that transports its bytes."""

    def __init__(self):
        self._data = bytearray()
        self._ended = False

    @property
    def pending(self):
        return len(self._data)

    @property
    def eof(self):
        return self._ended and not self._data

    def read(self, size=-1, /):
        size = len(self._data) if size < 0 else size
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    def write(self, data, /):
        if self._ended:
            raise SSLError("cannot write() after write_eof()")
        self._data += data
        return memoryview(data).nbytes

    def write_eof(self):
        self._ended = True


def _nothing(self, *args, **kwargs):
    return None


class _Session:
    """TLS of one connection. It passes bytes unchanged."""

    session = None
    session_reused = False

    def __init__(self, context, receive, send, server_hostname, owner):
        self.context, self.owner, self.server_hostname = context, owner, server_hostname
        self._receive, self._send = receive, send
        self.server_side = False
        self._has_handshake = False

    def do_handshake(self):
        if not self._has_handshake:
            self._has_handshake = True
            self._send(HELLO)

    def read(self, size=1024, buffer=None):
        if buffer is None:
            return self._receive(size)
        view = memoryview(buffer).cast("B")
        data = self._receive(min(size, len(view)) if size and size > 0 else len(view))
        view[: len(data)] = data
        return len(data)

    def write(self, data):
        self.do_handshake()
        self._send(data)
        return memoryview(data).nbytes

    def shutdown(self):
        return self.owner

    def pending(self):
        return 0

    def getpeercert(self, binary_form=False):
        return None if binary_form else {}

    selected_alpn_protocol = cipher = shared_ciphers = compression = version = _nothing
    get_verified_chain = get_unverified_chain = get_channel_binding = _nothing
    group = client_sigalg = server_sigalg = verify_client_post_handshake = _nothing


class _SSLContext:
    """Stores its settings. Most of them have no effect."""

    def __new__(cls, protocol):
        if protocol not in (PROTOCOL_TLS, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER):
            if protocol not in _OLD_PROTOCOLS:
                raise ValueError("invalid or unsupported protocol version")
        self = super().__new__(cls)
        client = protocol == PROTOCOL_TLS_CLIENT
        self._settings = {
            "protocol": protocol,
            "options": OP_ALL | OP_NO_SSLv3 | OP_NO_COMPRESSION | OP_ENABLE_MIDDLEBOX_COMPAT,
            "verify_flags": VERIFY_X509_TRUSTED_FIRST,
            "verify_mode": CERT_REQUIRED if client else CERT_NONE,
            "check_hostname": client,
            "minimum_version": PROTO_TLSv1_2,
            "maximum_version": PROTO_MAXIMUM_SUPPORTED,
            "_msg_callback": None,
        }
        self._host_flags = 0
        self.keylog_filename = self.sni_callback = None
        self.post_handshake_auth = False
        self.num_tickets, self.security_level = 2, 2
        return self

    def _wrap_socket(self, sock, server_side, server_hostname=None, *, owner=None, session=None):
        self._refuse_serving(server_side)
        return _Session(self, sock._receive, sock._send, server_hostname, owner)

    def _wrap_bio(
        self, incoming, outgoing, server_side, server_hostname=None, *, owner=None, session=None
    ):
        self._refuse_serving(server_side)

        def receive(size):
            data = incoming.read(size)
            if not data and not incoming.eof:
                raise SSLWantReadError(SSL_ERROR_WANT_READ, "The operation did not complete (read)")
            return data

        return _Session(self, receive, outgoing.write, server_hostname, owner)

    def _refuse_serving(self, server_side):
        if server_side:
            raise SSLError("the sandbox cannot serve: it only makes HTTP and HTTPS requests")

    def load_cert_chain(self, certfile, keyfile=None, password=None):
        raise SSLError(
            "client certificates are not available in the sandbox: the host implements TLS"
        )

    def load_verify_locations(self, cafile=None, capath=None, cadata=None):
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        # Must not fail: libraries load the CAs of certifi on their own. The host uses its own roots.
        if cafile is not None:
            os.stat(cafile)

    def get_ciphers(self):
        return []

    def get_ca_certs(self, binary_form=False):
        return []

    def cert_store_stats(self):
        return {"x509": 0, "crl": 0, "x509_ca": 0}

    def session_stats(self):
        return {}

    set_ciphers = set_ciphersuites = _set_alpn_protocols = _set_npn_protocols = _nothing
    set_default_verify_paths = load_dh_params = set_ecdh_curve = set_groups = _nothing
    set_client_sigalgs = set_server_sigalgs = _nothing


def _setting(name):
    def set_value(self, value):
        self._settings[name] = value

    return property(lambda self: self._settings[name], set_value)


def _set_check_hostname(self, value):
    if value and self._settings["verify_mode"] == CERT_NONE:
        self._settings["verify_mode"] = CERT_REQUIRED
    self._settings["check_hostname"] = bool(value)


def _set_verify_mode(self, value):
    if value not in (CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED):
        raise ValueError("invalid value for verify_mode")
    if value == CERT_NONE and self._settings["check_hostname"]:
        raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
    self._settings["verify_mode"] = value


for _name in ("options", "verify_flags", "minimum_version", "maximum_version", "_msg_callback"):
    setattr(_SSLContext, _name, _setting(_name))
_SSLContext.protocol = property(lambda self: self._settings["protocol"])
_SSLContext.check_hostname = _setting("check_hostname").setter(_set_check_hostname)
_SSLContext.verify_mode = _setting("verify_mode").setter(_set_verify_mode)

# Purposes of a certificate: number in OpenSSL, names, object identifier.
_PURPOSES = [
    (129, "serverAuth", "TLS Web Server Authentication", "1.3.6.1.5.5.7.3.1"),
    (130, "clientAuth", "TLS Web Client Authentication", "1.3.6.1.5.5.7.3.2"),
]


def txt2obj(txt, name=False):
    for purpose in _PURPOSES:
        if txt == purpose[3] or (name and txt in purpose):
            return purpose
    raise ValueError(f"unknown object '{txt[:100]}'")


def nid2obj(nid):
    for purpose in _PURPOSES:
        if nid == purpose[0]:
            return purpose
    raise ValueError(f"unknown NID {nid}")


def get_default_verify_paths():
    return "SSL_CERT_FILE", "/etc/ssl/cert.pem", "SSL_CERT_DIR", "/etc/ssl/certs"


def get_sigalgs():
    return []


def RAND_status():
    return True


def RAND_add(data, entropy, /):
    return None


RAND_bytes = os.urandom

# Libraries check for a recent version of OpenSSL.
OPENSSL_VERSION = "OpenSSL 3.5.0 (emulated: the host implements TLS)"
OPENSSL_VERSION_NUMBER = 0x30500000
OPENSSL_VERSION_INFO = _OPENSSL_API_VERSION = (3, 5, 0, 0, 0)
_DEFAULT_CIPHERS = "DEFAULT"
HAS_SNI = HAS_ECDH = HAS_ALPN = HAS_TLSv1_2 = HAS_TLSv1_3 = True
HAS_NPN = HAS_SSLv2 = HAS_SSLv3 = HAS_TLSv1 = HAS_TLSv1_1 = False
HAS_PSK = HAS_PSK_TLS13 = HAS_PHA = False
ENCODING_PEM, ENCODING_DER = 1, 2
HOSTFLAG_NEVER_CHECK_SUBJECT = 0x20

# Values of OpenSSL and CPython.
PROTOCOL_TLS = PROTOCOL_SSLv23 = 2
PROTOCOL_TLSv1, PROTOCOL_TLSv1_1, PROTOCOL_TLSv1_2 = _OLD_PROTOCOLS = 3, 4, 5
PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER = 16, 17
PROTO_MINIMUM_SUPPORTED, PROTO_MAXIMUM_SUPPORTED = -2, -1
PROTO_SSLv3, PROTO_TLSv1, PROTO_TLSv1_1, PROTO_TLSv1_2, PROTO_TLSv1_3 = range(0x300, 0x305)
CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = range(3)
VERIFY_DEFAULT = 0
VERIFY_CRL_CHECK_LEAF, VERIFY_CRL_CHECK_CHAIN, VERIFY_X509_STRICT = 0x4, 0xC, 0x20
VERIFY_ALLOW_PROXY_CERTS, VERIFY_X509_TRUSTED_FIRST = 0x40, 0x8000
VERIFY_X509_PARTIAL_CHAIN = 0x80000
SSL_ERROR_SSL, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE = 1, 2, 3
SSL_ERROR_WANT_X509_LOOKUP, SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN = 4, 5, 6
SSL_ERROR_WANT_CONNECT, SSL_ERROR_EOF, SSL_ERROR_INVALID_ERROR_CODE = 7, 8, 10
OP_ALL, OP_LEGACY_SERVER_CONNECT, OP_ENABLE_KTLS = 0x80000050, 0x4, 0x8
OP_IGNORE_UNEXPECTED_EOF, OP_NO_TICKET, OP_NO_COMPRESSION = 0x80, 0x4000, 0x20000
OP_ENABLE_MIDDLEBOX_COMPAT, OP_CIPHER_SERVER_PREFERENCE = 0x100000, 0x400000
OP_NO_SSLv2, OP_SINGLE_DH_USE, OP_SINGLE_ECDH_USE, OP_NO_SSLv3 = 0, 0, 0, 0x2000000
OP_NO_TLSv1, OP_NO_TLSv1_2, OP_NO_TLSv1_1 = 0x4000000, 0x8000000, 0x10000000
OP_NO_TLSv1_3, OP_NO_RENEGOTIATION = 0x20000000, 0x40000000
ALERT_DESCRIPTION_CLOSE_NOTIFY, ALERT_DESCRIPTION_HANDSHAKE_FAILURE = 0, 40
ALERT_DESCRIPTION_BAD_CERTIFICATE, ALERT_DESCRIPTION_UNKNOWN_CA = 42, 48
ALERT_DESCRIPTION_INTERNAL_ERROR = 80


def install():
    """Makes `import ssl` work for later imports, and for asyncio, which is already imported."""
    sys.modules["_ssl"] = sys.modules[__name__]
    import importlib
    import ssl

    for name, module in list(sys.modules.items()):
        if name.startswith("asyncio.") and getattr(module, "ssl", ssl) is None:
            module.ssl = ssl
            if name == "asyncio.sslproto":
                # This module defines more if `ssl` is available when it is loaded.
                importlib.reload(module)
