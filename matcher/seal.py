"""A folder's list of its own files, written last: tells a whole folder from one that was begun or damaged."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TypedDict

NAME = "files.json"


class Entry(TypedDict):
    """One file of a sealed folder."""

    bytes: int
    sha256: str


def sha256(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path) -> None:
    """List the files below a folder in the folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != NAME]
    entries = {
        path.relative_to(folder).as_posix(): Entry(bytes=path.stat().st_size, sha256=sha256(path)) for path in files
    }
    part = folder / f"{NAME}.{os.getpid()}.part"
    part.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    part.replace(folder / NAME)


def is_whole(folder: Path) -> bool:
    """Whether a folder was sealed and its files still have their sizes; quick."""
    entries = _entries(folder)
    return entries is not None and all(_size(folder / name) == entry["bytes"] for name, entry in entries.items())


def damaged(folder: Path) -> list[str]:
    """Files that are missing or have another content; the list itself where it cannot be read. Reads them all."""
    entries = _entries(folder)
    if entries is None:
        return [NAME]
    return [
        name
        for name, entry in entries.items()
        if _size(folder / name) != entry["bytes"] or sha256(folder / name) != entry["sha256"]
    ]


def sync(path: Path) -> None:
    """Make a file, or a folder's names, outlive the machine's next crash."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entries(folder: Path) -> dict[str, Entry] | None:
    try:
        entries: dict[str, Entry] = json.loads((folder / NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return entries


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
