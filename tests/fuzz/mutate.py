"""Breaks files in the ways that find faults: bytes, numbers, text, elements of XML, members of archives."""

from __future__ import annotations

import io
import random
import re
import struct
import zipfile
from collections.abc import Callable, Sequence

_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 32767, 65535, 65536, 1_048_576, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
_TOKENS = (
    *(b"\0", b'"', b'""', b",", b"\n", b"\r\n", b"\t", b"{", b"}", b"[", b"]", b":", b"\\", b"\\ud800", b"\xff\xfe"),
    *("：".encode(), "需求名称".encode(), "成果名称".encode(), "□☑".encode(), b"\xef\xbb\xbf", b"PK\x03\x04", b"%PDF-"),
    *(b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"&#0;", b"<![CDATA[", b"]]>", b"<!--", b"</", b"/>", b"<?xml"),
    *(b"/Type /Page", b"/Kids [1 0 R]", b"/Length 99999999", b"endstream", b"obj", b" R", b"=cmd()", b"1e999"),
)
_NUMBER = re.compile(rb"-?\d{1,12}")
_ELEMENT = re.compile(rb"<[^<>]{1,200}>")
_BETWEEN = re.compile(rb">[^<>]{1,200}<")
_ATTRIBUTE = re.compile(rb'="[^"<>]{0,60}"')
# A text that grows by repeating itself stays below this: what is tested is the reader's sense, not its speed.
MAX_BYTES = 400_000


def mutated(rng: random.Random, files: Sequence[bytes]) -> bytes:
    """Give one of the files, broken in a few places."""
    content = rng.choice(files)
    if content.startswith(b"PK") and rng.random() < 0.85:
        content = _archive(rng, content)
        if rng.random() < 0.7:
            return content
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        content = _once(rng, content, files)
    return content[:MAX_BYTES]


def _once(rng: random.Random, content: bytes, files: Sequence[bytes]) -> bytes:
    if rng.random() < 0.05:
        return _spliced(rng, content, rng.choice(files))
    way = rng.choice(_TEXT_WAYS if b"<" in content[:200] and rng.random() < 0.6 else _WAYS)
    return way(rng, content)


def _flipped(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 16)) if changed else 0):
        changed[rng.randrange(len(changed))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(changed)


def _binary_number(rng: random.Random, content: bytes) -> bytes:
    form = rng.choice(("<H", "<L", ">L", "<Q", "<h"))
    size = struct.calcsize(form)
    number = struct.pack(form, rng.choice(_NUMBERS) & (1 << (8 * size - (form == "<h"))) - 1)
    at = rng.randrange(len(content) + 1)
    return content[:at] + number + content[at + size :]


def _written_number(rng: random.Random, content: bytes) -> bytes:
    return _replaced(rng, content, _NUMBER, lambda _: str(rng.choice(_NUMBERS)).encode())


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _without(rng: random.Random, content: bytes) -> bytes:
    start, end = _span(rng, content)
    return content[:start] + content[end:]


def _repeated(rng: random.Random, content: bytes) -> bytes:
    start, end = _span(rng, content)
    times = rng.choice((1, 1, 2, 50, 1000))
    return content[:end] + content[start:end] * min(times, MAX_BYTES // max(1, end - start)) + content[end:]


def _with_token(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(_TOKENS) * rng.choice((1, 1, 1, 3, 300)) + content[at:]


def _with_noise(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.choice((1, 4, 64))) + content[at:]


def _spliced(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


def _element(rng: random.Random, content: bytes) -> bytes:
    elements = _ELEMENT.findall(content[:MAX_BYTES])
    if not elements:
        return content
    times = rng.choice((0, 1, 2, 400))
    return _replaced(rng, content, _ELEMENT, lambda old: rng.choice(elements) * times + rng.choice((b"", old)))


def _attribute(rng: random.Random, content: bytes) -> bytes:
    values = (b'=""', b'="-1"', b'="4294967296"', b'="A0"', b'="XFD1048576"', b'="&x;"', b'="' + b"9" * 400 + b'"')
    return _replaced(rng, content, _ATTRIBUTE, lambda _: rng.choice(values))


def _words(rng: random.Random, content: bytes) -> bytes:
    words = (b"", "需求名称".encode(), "标签：值".encode(), "☑是□否".encode(), b"1\n2\t3", b"x" * 5000, b"&amp;", b"9")
    return _replaced(rng, content, _BETWEEN, lambda _: b">" + rng.choice(words) + b"<")


def _replaced(rng: random.Random, content: bytes, pattern: re.Pattern[bytes], new: Callable[[bytes], bytes]) -> bytes:
    places = [match.span() for match in pattern.finditer(content[:MAX_BYTES])]
    if not places:
        return content
    start, end = rng.choice(places)
    return content[:start] + new(content[start:end]) + content[end:]


def _span(rng: random.Random, content: bytes) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 2, 8, 40, 400, 4000)))


_WAYS = (_flipped, _binary_number, _written_number, _cut, _without, _repeated, _with_token, _with_noise)
_TEXT_WAYS = (_words, _words, _words, _element, _element, _attribute, _written_number, _repeated, _with_token)


# ---------------------------------------------------------------- archives


def _archive(rng: random.Random, content: bytes) -> bytes:
    """Break an archive inside: its members are broken and packed again, so that their checksums are right."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # a member that was already no archive
        return content
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(members)) if members else 0
        way = rng.random()
        if not members:
            members = [("a.csv", b"")]
        elif way < 0.8:
            name, part = members[at]
            inner = [part]
            members[at] = (name, mutated(rng, inner) if rng.random() < 0.9 else rng.choice(members)[1])
        elif way < 0.87:
            del members[at]
        elif way < 0.93:
            members.append(members[at])
        else:
            members[at] = (rng.choice(("../x", "x" * 300, "a.zip", "word/document.xml", "\ud83d")), members[at][1])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, part in members:
            info = zipfile.ZipInfo(name.encode("utf-8", "replace").decode())
            info.compress_type = archive.compression
            archive.fp.seek(archive.start_dir)  # type: ignore[union-attr]
            archive.NameToInfo.pop(info.filename, None)  # a name that comes twice is one of the things to try
            archive.writestr(info, part)
    return packed.getvalue()
