"""Fixtures of the index's tests that are used here too."""

from tests.index.conftest import open_milvus

__all__ = ["open_milvus"]
