"""TLS from certificate files that may be replaced while the server runs.

Nobody has to tell us of a new certificate: whenever a client connects, at most once a second, the files are looked at,
and what has changed is read. Connections that are open keep what they began with, so no stream is dropped. Files that
do not fit together (the tool that renews them writes one after the other) leave the old certificate in use; they are
tried again when they change again.
"""

import os
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from zope.interface import implementer

from txcrush.model.errors import ListenFailed

LOOK_S = 1.0
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secret and authenticated only. Those of TLS 1.3 are all fit for use."""

OPTIONS = (
    SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_TICKET | getattr(SSL, "OP_NO_RENEGOTIATION", 0)
)


class TlsPair(Struct, frozen=True):
    """PEM files: a certificate with the chain behind it, its private key, and more of the chain where it is apart."""

    certificate: str
    key: str
    chain: str = ""


@implementer(IOpenSSLServerConnectionCreator)
class TlsFiles:
    """Makes the TLS side of each new connection. Raises `ListenFailed` for files that cannot be used at the start."""

    log = Logger()

    def __init__(self, pair: TlsPair, seconds: Callable[[], float]) -> None:
        self._pair = pair
        self._seconds = seconds
        self._looked_at = seconds()
        self._seen = _stamp(pair)
        try:
            self._context = _context(pair)
        except (SSL.Error, OSError) as error:
            raise ListenFailed(f"cannot use the TLS files {_named(pair)}: {_why(error)}") from error
        if _others_read(pair.key):
            self.log.warn("others can read the TLS key {path}: chmod 600 it", path=pair.key)

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:  # noqa: ARG002
        """As in `IOpenSSLServerConnectionCreator`."""
        self._look()
        return SSL.Connection(self._context, None)

    def _look(self) -> None:
        now = self._seconds()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        stamp = _stamp(self._pair)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._context = _context(self._pair)
        except (SSL.Error, OSError) as error:
            self.log.error(
                "the TLS files {files} have changed and cannot be used, the old certificate stays: {reason}",
                files=_named(self._pair),
                reason=_why(error),
            )
        else:
            self.log.info("the TLS certificate {path} was read anew", path=self._pair.certificate)


def _context(pair: TlsPair) -> SSL.Context:
    for path in (pair.certificate, pair.key):
        open(path, "rb").close()  # OpenSSL's own errors do not say what is missing
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(OPTIONS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(CIPHERS)
    context.set_alpn_select_callback(_select)
    context.use_certificate_chain_file(pair.certificate)
    context.use_privatekey_file(pair.key)
    context.check_privatekey()
    for certificate in _certificates(pair.chain):
        context.add_extra_chain_cert(certificate)
    return context


def _certificates(path: str) -> Any:
    from cryptography.x509 import load_pem_x509_certificates

    if not path:
        return []
    with open(path, "rb") as file:
        try:
            return load_pem_x509_certificates(file.read())
        except ValueError as error:
            raise OSError(f"{path} holds no certificate") from error


def _select(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _stamp(pair: TlsPair) -> tuple[object, ...]:
    return tuple(_file_stamp(path) for path in (pair.certificate, pair.key, pair.chain) if path)


def _file_stamp(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _others_read(path: str) -> bool:
    return bool(os.stat(path).st_mode & 0o007)


def _named(pair: TlsPair) -> str:
    return ", ".join(dict.fromkeys(path for path in (pair.certificate, pair.key, pair.chain) if path))


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    reasons = [reason for *_, reason in error.args[0]] if error.args else []
    return "; ".join(reasons) or "no certificate and key that fit together"
