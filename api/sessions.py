"""Sessions of browsers: a signed cookie that names the key with which somebody signed in.

The cookie holds no secret and no rights: at each request the key is looked up, so that revoking it ends its
sessions too.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import secrets
from pathlib import Path

import jwt

COOKIE = "matcher_session"
HOURS = 12
_ALGORITHM = "HS256"
_SECRET_BYTES = 32


class Sessions:
    """Signs and reads cookies."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, key_id: str) -> str:
        """A cookie for somebody who has shown this key, good for `HOURS`."""
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=HOURS)
        return jwt.encode({"sub": key_id, "exp": end}, self._secret, _ALGORITHM)

    def key_of(self, cookie: str) -> str | None:
        """The key that a cookie names; None if it is not ours, or over."""
        try:
            claims = jwt.decode(cookie, self._secret, [_ALGORITHM], {"require": ["sub", "exp"]})
        except (jwt.InvalidTokenError, ValueError):
            return None
        key_id: str = claims["sub"]
        return key_id


def load_secret(path: Path) -> bytes:
    """The secret in a file that all processes of an installation share; made when there is none.

    :raises OSError: if it can be neither read nor written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    try:
        if not path.exists():
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_SECRET_BYTES))
                file.flush()
                os.fsync(descriptor)
            with contextlib.suppress(FileExistsError):  # another process was quicker: its secret counts
                os.link(part, path)
        return path.read_bytes()
    finally:
        part.unlink(missing_ok=True)
