"""Addresses that were erased and must not get mail again, although nobody remembers them.

What stays is a hash that is slow to make: it tells whether an address is the one, and nobody who reads the store
can try all telephone and QQ numbers that an address may consist of. It is kept as a subscriber who wants no mail and
follows nothing, under a name that no address can have. All hashes of an installation share one salt, which is kept
in the same way, so that an address is compared with all of them at once.
"""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Connection, delete, insert, select

from matcher import tables
from matcher.addresses import same_address
from matcher.audit import now

# `.invalid` is no domain, and `matcher.addresses` refuses it.
ENDING = "@erased.invalid"
_SALT_BYTES = 16
# The id of the row that holds the salt; others are random.
_SALT_ID = "sbr-salt"
# 16 MB and some 50 ms a try: all QQ numbers of ten digits would take a processor fifteen years.
_COST = {"n": 2**14, "r": 8, "p": 1}


def remember(connection: Connection, address: str) -> None:
    """Keep what tells this address again."""
    salt = _salt(connection)
    if salt is None:
        salt = secrets.token_hex(_SALT_BYTES)
        _write(connection, _SALT_ID, salt)
    _write(connection, f"sbr-{secrets.token_hex(8)}", _hash(address, salt))


def recall(connection: Connection, address: str) -> bool:
    """Whether an address was erased; from now on whoever asks has to remember it by the address itself."""
    salt = _salt(connection)
    if salt is None:
        return False
    own = tables.subscribers.c.email == f"{_hash(address, salt)}{ENDING}"
    return connection.execute(delete(tables.subscribers).where(own)).rowcount > 0


def _salt(connection: Connection) -> str | None:
    s = tables.subscribers.c
    known: str | None = connection.execute(select(s.email).where(s.id == _SALT_ID)).scalar()
    return known.removesuffix(ENDING) if known else None


def _write(connection: Connection, id_: str, value: str) -> None:
    moment = now()
    row = {
        "id": id_,
        "email": f"{value}{ENDING}",
        "token": secrets.token_urlsafe(32),
        "created_at": moment,
        "suppressed_at": moment,
        "suppressed_for": "unsubscribed",
    }
    connection.execute(insert(tables.subscribers).values(row))


def _hash(address: str, salt: str) -> str:
    return hashlib.scrypt(same_address(address).encode(), salt=bytes.fromhex(salt), dklen=32, **_COST).hex()
