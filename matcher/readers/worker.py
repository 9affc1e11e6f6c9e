"""The process in which a file is read that could break its reader: `python -m matcher.readers.worker FORMAT PATH`.

What it reads goes to standard output, a file: the rows of all parts, one as JSON in each line; then, as one
JSON object, where the rows of each part are, or why there are none; then the place of that object in
`PLACE_DIGITS` digits. The parent is `matcher.readers.apart`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from matcher.errors import MatcherError
from matcher.readers.apart import DISK_FULL, PLACE_DIGITS, TOO_MUCH
from matcher.readers.base import BadRow, Refused
from matcher.readers.formats import FORMATS, Format, Limits

OUTPUT_FAULTS = {errno.EFBIG: TOO_MUCH, errno.ENOSPC: DISK_FULL}


def main(name: str, path: str) -> None:
    """Read one file within the limits of its format."""
    form = FORMATS[name]
    if form.limits:
        set_limits(form.limits)
    output = os.fdopen(os.dup(1), "wb")
    # What a library prints must not get between the rows.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        index = _read(form, Path(path), output)
        place = output.tell()
        output.write(json.dumps(index).encode())
        output.write(f"{place:0{PLACE_DIGITS}d}".encode())
        output.close()
    except OSError as error:
        # Nothing more can be written, so the exit code tells.
        os._exit(OUTPUT_FAULTS.get(error.errno or 0, 1))


def set_limits(limits: Limits) -> None:
    """Bound this process: memory, time, what it may write; no core file of someone's confidential need."""
    for what, bound in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        # A system without one of them (macOS has no RLIMIT_AS worth the name) or with a lower one keeps it.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (bound, bound + (what == resource.RLIMIT_CPU)))


def _read(form: Format, path: Path, output: BinaryIO) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    try:
        for part in form.read(path):
            if isinstance(part, Refused):
                parts.append({"name": part.name, "reason": part.reason})
                continue
            start = output.tell()
            for row in part.rows:
                is_bad = isinstance(row, BadRow)
                item = [row.line, row.field, row.reason, row.raw] if is_bad else [row.line, row.values]  # type: ignore[union-attr]
                output.write(orjson.dumps(item) + b"\n")
            own = {"name": part.name, "kind": part.kind, "note": part.note, "columns": part.columns}
            parts.append({**own, "start": start, "end": output.tell()})
    except MatcherError as error:
        return {"refused": str(error)}
    except MemoryError:
        parts.clear()
        return {"fault": "memory"}
    # Whatever a parser raises on a file that was made to break it; a panic in Rust is no Exception.
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in OUTPUT_FAULTS:
            raise
        return {"fault": type(error).__name__}
    return {"parts": parts}


if __name__ == "__main__":
    main(*sys.argv[1:])
