"""A Milvus server behind the few calls the index makes; its failures as errors a user can act on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from matcher.errors import IndexUnavailable, SettingError

# Seconds: to find the server, and for one call. A call over a batch of records takes well under one.
CONNECT_SECONDS = 10.0
CALL_SECONDS = 60.0
# What a gRPC server allows an idle client unless told otherwise. pymilvus asks every ten seconds, is cut off
# for it by such a server while texts are embedded, and says so on standard error.
KEEPALIVE_MILLISECONDS = 300_000
# Full-text search by BM25 came with this version.
OLDEST_VERSION = (2, 5)
# Rows deleted or written by one request at most; Milvus returns no more than 16,384 to one query.
PAGE = 1000
# A request is sent when it has grown past this; clusters refuse those of 64 MB.
REQUEST_BYTES = 16_000_000

Row = dict[str, Any]
STRONG, BOUNDED = "Strong", "Bounded"


class Server:
    """Connects when first used; safe for threads."""

    def __init__(self, uri: str, token: str = "") -> None:
        """:param uri: ``http://HOST:PORT``, with ``/DATABASE`` behind it where it is not the default one."""
        self._uri = uri
        self._token = token

    @cached_property
    def _client(self) -> Any:
        """:raises SettingError: if pymilvus is missing; IndexUnavailable: if the server is, or is too old."""
        pymilvus = _pymilvus()
        with self._told():
            client = pymilvus.MilvusClient(
                self._uri,
                token=self._token,
                timeout=CONNECT_SECONDS,
                grpc_options={"grpc.keepalive_time_ms": KEEPALIVE_MILLISECONDS},
            )
            version = str(client.get_server_version())
        found = re.search(r"(\d+)\.(\d+)", version)
        if not found or (int(found[1]), int(found[2])) < OLDEST_VERSION:
            oldest = ".".join(map(str, OLDEST_VERSION))
            raise IndexUnavailable(
                f"Milvus 服务器 {self._shown} 的版本是 {version}，需要 {oldest} 或更新的版本。请升级该服务器。"
            )
        return client

    @property
    def _shown(self) -> str:
        """The address without the name and password that it may carry."""
        return urlsplit(self._uri).netloc.rpartition("@")[2] or self._uri

    @contextmanager
    def _told(self) -> Iterator[None]:
        failures = (_pymilvus().MilvusException, import_module("grpc").RpcError)
        try:
            yield
        except failures as error:
            message = str(getattr(error, "message", "") or error)
            raise IndexUnavailable(
                f"Milvus 服务器 {self._shown} 没有完成请求（{message[:200]}）。"
                "请确认它在运行，且 MATCHER_MILVUS_URI 和 MATCHER_MILVUS_TOKEN 正确，然后重试。"
            ) from error

    def names(self, prefix: str) -> set[str]:
        """Collections whose name begins like this."""
        with self._told():
            return {name for name in self._client.list_collections(timeout=CALL_SECONDS) if name.startswith(prefix)}

    def create(self, name: str, fields: Sequence[Mapping[str, Any]], indexes: Mapping[str, Mapping[str, Any]]) -> None:
        """Make a collection and load it; finish one that was begun.

        :param fields: arguments of pymilvus's `add_field`, types by name; a field with ``bm25_of`` is the
            full-text vector of another.
        :param indexes: field to arguments of `add_index`.
        """
        with self._told():
            if not self._client.has_collection(name, timeout=CALL_SECONDS):
                self._client.create_collection(
                    name, schema=self._schema(fields), consistency_level=STRONG, timeout=CALL_SECONDS
                )
            missing = indexes.keys() - set(self._client.list_indexes(name))
            if missing:
                parameters = self._client.prepare_index_params()
                for field_name in sorted(missing):
                    parameters.add_index(field_name, index_name=field_name, **indexes[field_name])
                # Else pymilvus sleeps half a second for each index, of a collection that has nothing to index.
                self._client.create_index(name, parameters, timeout=CALL_SECONDS, sync=False)
        self.load(name)

    def _schema(self, fields: Sequence[Mapping[str, Any]]) -> Any:
        pymilvus = _pymilvus()
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        for field in fields:
            arguments = {
                key: getattr(pymilvus.DataType, value) if key in ("datatype", "element_type") else value
                for key, value in field.items()
                if key != "bm25_of"
            }
            schema.add_field(**arguments)
            if "bm25_of" in field:
                schema.add_function(
                    pymilvus.Function(
                        name=f"{field['field_name']}_bm25",
                        function_type=pymilvus.FunctionType.BM25,
                        input_field_names=[field["bm25_of"]],
                        output_field_names=[field["field_name"]],
                    )
                )
        return schema

    def load(self, name: str) -> None:
        """Make sure that a collection can be searched; a server that was restarted may have let go of it."""
        with self._told():
            self._client.load_collection(name, timeout=CALL_SECONDS)

    def drop(self, name: str) -> None:
        """Remove a collection."""
        with self._told():
            self._client.drop_collection(name, timeout=CALL_SECONDS)

    def put(self, name: str, rows: Sequence[Row]) -> None:
        """Insert rows, in place of those with the same primary key."""
        batch: list[Row] = []
        size = 0
        for row in rows:
            batch.append(row)
            size += _size(row)
            if len(batch) == PAGE or size > REQUEST_BYTES:
                self._put(name, batch)
                batch, size = [], 0
        if batch:
            self._put(name, batch)

    def _put(self, name: str, rows: Sequence[Row]) -> None:
        with self._told():
            self._client.upsert(name, list(rows), timeout=CALL_SECONDS)

    def seal(self, name: str) -> None:
        """Close what has been inserted into segments, which the server then gives their indexes.

        Clusters allow this once in ten seconds or so: for the end of a rebuild, not for each batch.
        """
        with self._told():
            self._client.flush(name, timeout=CALL_SECONDS)

    def delete(self, name: str, primary: str, condition: str) -> None:
        """Delete all rows that meet a condition; `primary` names the primary key."""
        while rows := self.query(name, condition, [primary], limit=PAGE):
            with self._told():
                self._client.delete(name, ids=[row[primary] for row in rows], timeout=CALL_SECONDS)

    def query(
        self,
        name: str,
        condition: str,
        fields: Sequence[str],
        limit: int | None = None,
        consistency: str = STRONG,
    ) -> list[Row]:
        """Rows that meet a condition, in no certain order."""
        with self._told():
            rows = self._client.query(
                name,
                filter=condition,
                output_fields=list(fields),
                consistency_level=consistency,
                timeout=CALL_SECONDS,
                **({"limit": limit} if limit else {}),
            )
        return [dict(row) for row in rows]

    def search(
        self,
        name: str,
        field: str,
        questions: Sequence[Any],
        condition: str,
        limit: int,
        consistency: str,
        parameters: Mapping[str, Any],
    ) -> list[list[int]]:
        """The `key` of each question's best rows, best first.

        :param questions: vectors, or texts for a full-text field.
        """
        with self._told():
            answers = self._client.search(
                name,
                data=list(questions),
                anns_field=field,
                filter=condition,
                limit=limit,
                output_fields=["key"],
                search_params=dict(parameters),
                consistency_level=consistency,
                timeout=CALL_SECONDS,
            )
        return [[int(hit["entity"]["key"]) for hit in hits] for hits in answers]


def _size(value: Any) -> int:
    """About how many bytes a value takes in a request; letters are ASCII wherever there are many."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int | float):
        return 8
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return int(value.nbytes) if hasattr(value, "nbytes") else sum(map(_size, value))


def _pymilvus() -> Any:
    try:
        return import_module("pymilvus")
    except ImportError as error:
        raise SettingError(
            "MATCHER_INDEX 设为 milvus，但没有安装 pymilvus。"
            "请在项目目录中运行 .venv/bin/pip install -c constraints.txt -e '.[milvus]'，然后重试。"
        ) from error
