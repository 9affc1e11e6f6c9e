"""Accounts and their keys. A key is shown once, when it is made; the store keeps its hash."""

from __future__ import annotations

import datetime
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from matcher import audit, tables
from matcher.database import Database, batches
from matcher.errors import InvalidAccount, NotFound
from matcher.normal import clean
from matcher.visibility import ROLES, AccountRole, Viewer

NAME_LIMIT = 100
# Lets people and scanners of leaked secrets tell what a string is.
_KEY_PREFIX = "mk_"
# Of randomness in a key: too much to guess, so a fast hash is enough.
_KEY_BYTES = 32
_PRINTABLE = 40
# Keys of one account that open something: each has a rate of its own.
KEY_LIMIT = 50


@dataclass(frozen=True)
class Account:
    """An account.

    :param key: the store's number; `id` is public.
    """

    key: int
    id: str
    name: str
    role: AccountRole
    created_at: str
    closed_at: str | None

    @property
    def viewer(self) -> Viewer:
        """The account as somebody who asks."""
        return Viewer(self.role, self.key)


@dataclass(frozen=True)
class ApiKey:
    """A key without its secret."""

    id: str
    account: int
    name: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None

    @property
    def usable(self) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > audit.now())


class Accounts:
    """The accounts in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, role: str, actor: int = audit.OPERATOR_ACCOUNT) -> Account:
        """Make an account.

        :raises InvalidAccount: naming the field and the reason.
        """
        name = _checked_name("名称", name)
        if role not in ROLES:
            raise InvalidAccount("角色", f"“{role[:_PRINTABLE]}”不是角色；可用的值有 {'、'.join(ROLES)}")
        id_ = f"acc-{secrets.token_hex(8)}"
        row = {"id": id_, "name": name, "role": role, "created_at": audit.now()}
        with self._database.writing() as connection:
            connection.execute(insert(tables.accounts).values(row))
            audit.write(connection, [audit.Entry(actor, "account-add", id_, {"role": role})])
        return self.get(id_)

    def get(self, id_: str) -> Account:
        """An account by its public id.

        :raises NotFound: if there is none.
        """
        return self._one(tables.accounts.c.id == id_, id_)

    def by_key(self, key: int) -> Account:
        """An account by the store's number.

        :raises NotFound: if there is none.
        """
        return self._one(tables.accounts.c.key == key, str(key))

    def find(self, name_or_id: str) -> Account:
        """The account with this id, or the only open one with this name.

        :raises NotFound: if there is none, or several.
        """
        a = tables.accounts.c
        named = or_(a.id == name_or_id, a.name == clean(name_or_id))
        query = select(tables.accounts).where(named, a.closed_at.is_(None))
        with self._database.reading.connect() as connection:
            rows = connection.execute(query).all()
        if len(rows) != 1:
            what = "没有" if not rows else f"有 {len(rows)} 个"
            raise NotFound(f"{what}名称或编号为“{name_or_id[:_PRINTABLE]}”的账号。请用 matcher account list 查看编号。")
        return _account(rows[0])

    def all(self) -> list[Account]:
        """All accounts, closed ones included, in the order they came."""
        with self._database.reading.connect() as connection:
            rows = connection.execute(select(tables.accounts).order_by(tables.accounts.c.key)).all()
        return [_account(row) for row in rows]

    def names(self, keys: Iterable[int]) -> dict[int, str]:
        """Names by the store's numbers; unknown numbers are left out."""
        a = tables.accounts.c
        found: dict[int, str] = {}
        with self._database.reading.connect() as connection:
            for part in batches(sorted(set(keys))):
                query = select(a.key, a.name).where(a.key.in_(part))
                found |= {row.key: row.name for row in connection.execute(query)}
        return found

    def close(self, id_: str, actor: int = audit.OPERATOR_ACCOUNT) -> None:
        """Close an account: its keys open nothing any more; its records stay as they are.

        :raises NotFound: if there is no open account with this id.
        """
        a = tables.accounts.c
        change = update(tables.accounts).where(a.id == id_, a.closed_at.is_(None)).values(closed_at=audit.now())
        with self._database.writing() as connection:
            if not connection.execute(change).rowcount:
                raise NotFound(_no_account(id_))
            audit.write(connection, [audit.Entry(actor, "account-close", id_, {})])

    # ------------------------------------------------------------ keys

    def add_key(
        self,
        account: Account,
        name: str,
        expires: datetime.date | None = None,
        actor: int = audit.OPERATOR_ACCOUNT,
    ) -> tuple[ApiKey, str]:
        """Make a key.

        :param expires: the first day, in UTC, on which it opens nothing any more.
        :returns: the key, and its secret, which nobody can be told again.
        :raises InvalidAccount: naming the field and the reason.
        """
        name = _checked_name("密钥名称", name)
        moment = audit.now()
        end = f"{expires.isoformat()}T00:00:00+00:00" if expires else None
        if end and end <= moment:
            raise InvalidAccount("到期日", f"{expires} 已经过去；请写将来的日期")
        secret = _KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
        key = ApiKey(f"key-{secrets.token_hex(6)}", account.key, name, moment, end, None)
        row = {**vars(key), "hash": _hash(secret)}
        with self._database.writing() as connection:
            self._require_open(connection, account)
            if self._usable(connection, account) >= KEY_LIMIT:
                raise InvalidAccount("密钥", f"已有 {KEY_LIMIT} 个可用的密钥；请先吊销不再使用的")
            connection.execute(insert(tables.api_keys).values(row))
            audit.write(connection, [audit.Entry(actor, "key-add", account.id, {"key": key.id})])
        return key, secret

    def keys(self, account: Account) -> list[ApiKey]:
        """All keys of an account, revoked and expired ones included, in the order they came."""
        k = tables.api_keys.c
        query = select(*_KEY_COLUMNS).where(k.account == account.key).order_by(k.created_at, k.id)
        with self._database.reading.connect() as connection:
            return [ApiKey(*row) for row in connection.execute(query)]

    def revoke(self, account: Account, key_id: str, actor: int = audit.OPERATOR_ACCOUNT) -> None:
        """Let a key open nothing any more, from now on.

        :raises NotFound: if the account has no such key, or it is revoked already.
        """
        k = tables.api_keys.c
        change = update(tables.api_keys).where(k.id == key_id, k.account == account.key, k.revoked_at.is_(None))
        with self._database.writing() as connection:
            if not connection.execute(change.values(revoked_at=audit.now())).rowcount:
                raise NotFound(f"没有编号为“{key_id[:_PRINTABLE]}”的有效密钥。")
            audit.write(connection, [audit.Entry(actor, "key-revoke", account.id, {"key": key_id})])

    def open(self, secret: str) -> tuple[Account, ApiKey] | None:
        """Whose key this is; None if nobody's, or if key or account are over."""
        if not secret.startswith(_KEY_PREFIX):
            return None
        return self._opened(tables.api_keys.c.hash == _hash(secret))

    def open_by_id(self, key_id: str) -> tuple[Account, ApiKey] | None:
        """What `open` gives, for a session that began with this key."""
        return self._opened(tables.api_keys.c.id == key_id)

    def _opened(self, condition: Any) -> tuple[Account, ApiKey] | None:
        k = tables.api_keys.c
        query = select(tables.accounts, *(c.label(f"key_{c.name}") for c in _KEY_COLUMNS))
        query = query.join_from(tables.api_keys, tables.accounts).where(condition, k.revoked_at.is_(None))
        with self._database.reading.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or row.closed_at is not None:
            return None
        key = ApiKey(*(getattr(row, f"key_{c.name}") for c in _KEY_COLUMNS))
        return (_account(row), key) if key.usable else None

    def _one(self, condition: Any, shown: str) -> Account:
        with self._database.reading.connect() as connection:
            row = connection.execute(select(tables.accounts).where(condition)).one_or_none()
        if row is None:
            raise NotFound(_no_account(shown))
        return _account(row)

    @staticmethod
    def _usable(connection: Connection, account: Account) -> int:
        k = tables.api_keys.c
        lasting = or_(k.expires_at.is_(None), k.expires_at > audit.now())
        query = select(func.count()).where(k.account == account.key, k.revoked_at.is_(None), lasting)
        return int(connection.execute(query).scalar_one())

    @staticmethod
    def _require_open(connection: Connection, account: Account) -> None:
        a = tables.accounts.c
        query = select(a.key).where(a.key == account.key, a.closed_at.is_(None))
        if connection.execute(query).one_or_none() is None:
            raise NotFound(_no_account(account.id))


_KEY_COLUMNS = [tables.api_keys.c[name] for name in ("id", "account", "name", "created_at", "expires_at", "revoked_at")]


def _account(row: Row[Any]) -> Account:
    return Account(row.key, row.id, row.name, row.role, row.created_at, row.closed_at)


def _no_account(id_: str) -> str:
    return f"没有编号为“{id_[:_PRINTABLE]}”的账号，或该账号已关闭。"


def _checked_name(field: str, name: str) -> str:
    name = clean(name).replace("\n", " ").strip()
    if not 1 <= len(name) <= NAME_LIMIT:
        raise InvalidAccount(field, f"长 {len(name)} 字；应为 1 到 {NAME_LIMIT} 字")
    return name


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
