"""A client of mxm-secretsd in one file, for Python 3.9 and later: copy it, it needs nothing else.

    from mxm_secretsd import SecretsApi

    api = SecretsApi("/run/mxm-secretsd/marketdata/secrets.sock")
    api.get_secret(secret_name="databento_api_key", identity=identity)

The call is that of the package mxm-secrets, which opens the store in the process itself. What differs: the identity is
the daemon's. The one that a caller names is compared with it, and a mismatch is refused.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import time
from collections.abc import Mapping
from typing import Any, Optional, TypeVar, Union

__all__ = [
    "AccessDenied",
    "DaemonUnavailable",
    "IdentityMismatch",
    "InvalidSecretName",
    "SecretsApi",
    "SecretsError",
    "UnknownSecret",
]

Default = TypeVar("Default")

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,127}")
_IDENTITY_KEYS = ("machine", "environment", "role", "app", "substrate")
_REQUIRED_KEYS = ("machine", "environment", "role")

#: A default stands in for these, never for a name that is denied or unknown.
_DEFAULT_STANDS_IN = frozenset(
    {"secret_not_found", "backend_failed", "backend_unavailable", "backend_locked", "backend_timeout"}
)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


class SecretsError(Exception):
    """A daemon's refusal.

    code: as the daemon names it. detail: what that means. status: of HTTP, or None when nothing was answered. retryable: whether the same
    request may succeed later.
    """

    def __init__(self, code: str, detail: str, status: Optional[int], retryable: bool) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status
        self.retryable = retryable

    def __reduce__(self) -> tuple[Any, ...]:
        # Else it cannot be unpickled, and a pool of processes breaks where a worker raises it.
        return type(self), (self.code, self.detail, self.status, self.retryable)


class UnknownSecret(SecretsError, KeyError):
    """The daemon has no secret of that name."""

    __str__ = Exception.__str__


class InvalidSecretName(SecretsError, ValueError):
    """The name is no identifier."""


class AccessDenied(SecretsError, PermissionError):
    """The policy of the secret does not list the daemon's principal, or the daemon does not serve this process."""

    __str__ = Exception.__str__


class IdentityMismatch(SecretsError, PermissionError):
    """The daemon has another runtime identity than the caller named."""

    __str__ = Exception.__str__


class DaemonUnavailable(SecretsError, ConnectionError):
    """No daemon answers at the socket, or something else does."""

    __str__ = Exception.__str__


_KINDS: dict[str, type[SecretsError]] = {
    "unknown_secret": UnknownSecret,
    "invalid_secret_name": InvalidSecretName,
    "access_denied": AccessDenied,
    "peer_denied": AccessDenied,
}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: Optional[float]) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class SecretsApi:
    """Asks the daemon at a socket. Keeps no connection and no value."""

    def __init__(
        self, socket_path: Optional[str] = None, *, wait: float = 0.0, timeout: Optional[float] = 600.0
    ) -> None:
        """socket_path: default is $MXM_SECRETSD_SOCKET.

        wait: seconds in which a call tries again while there is no daemon or its answer is retryable.
        timeout: seconds of silence after which an answer is given up.
        """
        path = socket_path or os.environ.get("MXM_SECRETSD_SOCKET")
        if not path:
            raise ValueError("socket_path is missing, and MXM_SECRETSD_SOCKET is not set")
        if not wait >= 0:
            raise ValueError("wait must be a number of seconds from 0 on")
        self._path = path
        self._wait = wait
        self._timeout = timeout

    def get_secret(
        self, secret_name: str, *, identity: object, default: Optional[Default] = None
    ) -> Union[str, Optional[Default]]:
        """The value of a secret as text.

        identity: an object with the attributes machine, environment and role (and app and substrate, where they are
        set), or a mapping with these keys. default: what to give when the backend cannot or the store has no such entry.
        Raises UnknownSecret (a KeyError), AccessDenied and IdentityMismatch (PermissionErrors), InvalidSecretName (a
        ValueError), DaemonUnavailable (a ConnectionError) and SecretsError.
        """
        value = self._get(secret_name, identity)
        if value is None:
            return default
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise SecretsError("not_acceptable", "the value is not UTF-8: ask for its bytes", 200, False) from None

    def get_secret_bytes(
        self, secret_name: str, *, identity: object, default: Optional[Default] = None
    ) -> Union[bytes, Optional[Default]]:
        """The same in bytes."""
        value = self._get(secret_name, identity)
        return default if value is None else value

    def check_ready(self) -> bool:
        """Whether the daemon answers and every store's backend is ready."""
        try:
            return self._ask("/readyz", "application/json")[0] == 200
        except DaemonUnavailable:
            return False

    def _get(self, secret_name: str, identity: object) -> Optional[bytes]:
        if not _IDENTIFIER.fullmatch(secret_name):
            rule = "a secret name is a lower-case letter, then lower-case letters, digits and underscores, 128 at most"
            raise InvalidSecretName("invalid_secret_name", rule, None, False)
        deadline = time.monotonic() + self._wait
        pause = _FIRST_PAUSE_S
        while True:
            try:
                self._compare(identity)
                return self._ask_good(f"/secrets/{secret_name}", "application/octet-stream")
            except SecretsError as error:
                left = deadline - time.monotonic()
                if not error.retryable or left <= 0:
                    if error.code in _DEFAULT_STANDS_IN and not isinstance(error, DaemonUnavailable):
                        return None
                    raise
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _compare(self, identity: object) -> None:
        body = self._ask_good("/identity", "application/json")
        try:
            served = json.loads(body)["identity"]
            known = {key: served.get(key) for key in _IDENTITY_KEYS}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._unavailable("backend_failed", "is no mxm-secretsd, or it broke off", False) from None
        for key in _IDENTITY_KEYS:
            named = identity.get(key) if isinstance(identity, Mapping) else getattr(identity, key, None)
            if named is None and key not in _REQUIRED_KEYS:
                continue
            if named != known[key]:
                detail = f"the daemon's {key} is {known[key]!r}, not {named!r}"
                raise IdentityMismatch("access_denied", detail, None, False)

    def _ask_good(self, path: str, accept: str) -> bytes:
        status, kind, body = self._ask(path, accept)
        if status == 200 and kind.split(";")[0] == accept:
            return body
        problem = _problem_of(kind, body)
        if problem is None:
            raise self._unavailable("backend_failed", "is no mxm-secretsd, or it broke off", False)
        code, detail, retryable = problem
        raise _KINDS.get(code, SecretsError)(code, detail, status, retryable)

    def _ask(self, path: str, accept: str) -> tuple[int, str, bytes]:
        connection = _UnixConnection(self._path, self._timeout)
        try:
            try:
                connection.connect()
            except OSError as error:
                why = f"does not answer ({error.strerror or type(error).__name__})"
                raise self._unavailable("backend_unavailable", why, True) from None
            try:
                connection.request("GET", path, headers={"Accept": accept, "Connection": "close"})
                answer = connection.getresponse()
                length = answer.getheader("Content-Length")
                # What does not say how long it is may never end.
                if answer.getheader("X-Request-Id") is None or length is None or answer.chunked:
                    raise http.client.HTTPException
                body = answer.read()
                if length != str(len(body)):
                    raise http.client.HTTPException
            except (OSError, http.client.HTTPException):
                raise self._unavailable("backend_failed", "is no mxm-secretsd, or it broke off", False) from None
            return answer.status, answer.getheader("Content-Type") or "", body
        finally:
            connection.close()

    def _unavailable(self, code: str, why: str, retryable: bool) -> DaemonUnavailable:
        return DaemonUnavailable(code, f"what should be at {self._path} {why}", None, retryable)


def _problem_of(kind: str, body: bytes) -> Optional[tuple[str, str, bool]]:
    if not kind.startswith("application/problem+json"):
        return None
    try:
        problem: Any = json.loads(body)
        code, detail, retryable = problem["code"], problem["detail"], problem["retryable"]
    except (ValueError, KeyError, TypeError):
        return None
    if not (isinstance(code, str) and _IDENTIFIER.fullmatch(code)):
        return None
    # It may be for a terminal, and anything may answer.
    shown = "".join(character if character.isprintable() else "\ufffd" for character in str(detail))
    return code, shown, retryable is True
