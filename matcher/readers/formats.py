"""The formats that can be read, by name, and what reading one may cost."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from matcher.readers.base import Parts

_GB = 1024**3


@dataclass(frozen=True)
class Limits:
    """What a process that reads one file may use.

    :param memory_bytes: of address space; Python and the libraries themselves take some 300 MB of it.
    :param cpu_seconds: of computing; it may wait three times as long for a busy machine.
    :param output_bytes: of rows; they wait for the caller in a temporary file.
    """

    memory_bytes: int
    cpu_seconds: int
    output_bytes: int = 4 * _GB


@dataclass(frozen=True)
class Format:
    """One format: where its reader is, a function from a path to the parts of the file.

    :param limits: for formats whose parsers cannot be bounded from inside. They are read in a process of
        their own, so that a file that was made to break the parser breaks nothing else.
    """

    module: str
    function: str
    limits: Limits | None = None

    def read(self, path: Path) -> Parts:
        """Read a file in this process.

        :raises UnreadableFile: nothing in it is a table.
        """
        # Imported when needed: the libraries of the rarer formats take long to load.
        reader = getattr(importlib.import_module(self.module), self.function)
        parts: Parts = reader(path)
        return parts


# Memory: a sheet of the largest size allowed takes 1.2 GB, a JSON document of 512 MB up to 2.5 GB. Time: twenty
# times what the largest ordinary file took here (two AVX2 cores).
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "delimited": Format("matcher.readers.delimited", "read_parts"),
        "jsonl": Format("matcher.readers.jsonl", "read_parts"),
        "json": Format("matcher.readers.jsonl", "read_parts", Limits(3 * _GB, 300)),
        "workbook": Format("matcher.readers.workbook", "read_workbook", Limits(3 * _GB, 300)),
        "docx": Format("matcher.readers.docx", "read_docx", Limits(_GB, 60)),
        "pdf": Format("matcher.readers.pdf", "read_pdf", Limits(_GB, 120)),
        "xml": Format("matcher.readers.patent_xml", "read_patent_xml", Limits(_GB, 600)),
    }
)
