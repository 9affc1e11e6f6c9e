"""Records to candidates on a Milvus server or cluster: the second implementation of `matcher.index.Index`."""

from matcher.milvus.index import MilvusIndex

__all__ = ["MilvusIndex"]
