"""Bytes to lines of text: which encoding a file is in, and lines that survive wrong bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from matcher.readers.base import unreadable_os

#: The encoding is decided on this many bytes, from the first one that is not ASCII.
SAMPLE_BYTES = 256 * 1024
#: Read at a time; one chunk and one line are all that is held in memory.
CHUNK_BYTES = 1024 * 1024
#: A longer line is no record: the longest full texts seen in exports are a hundredth of it.
MAX_LINE_BYTES = 8 * 1024 * 1024
#: Above this share of control bytes a file is binary: random bytes have some 10 %, texts next to none.
MAX_CONTROL_SHARE = 0.01
#: Above this share of NUL bytes a file is binary; a few come from damaged exports and are dropped.
MAX_NUL_SHARE = 0.2
#: UTF-16 without a mark has at least as many, for the delimiters and the end of its header.
MIN_NULS = 3
#: Above this share of undecodable characters a file is in none of the encodings known here.
MAX_WRONG_SHARE = 0.1
#: Below this share of everyday Han characters a GB18030 reading is doubted. Tried on a paragraph:
#: simplified Chinese 1.0, traditional in GBK 0.57, Big5 read as GB18030 0.35.
DOUBT_SHARE = 0.7
#: From this share of everyday characters of Big5 on it is Big5. Tried on seven tables: traditional Chinese in
#: Big5 from 0.98, GB18030 read as Big5 up to 0.57.
BIG5_SHARE = 0.9

#: The fault of such a line.
TOO_LONG = f"这一行超过 {MAX_LINE_BYTES // 1024 // 1024} MB，太长"

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL = bytes(set(range(1, 32)) - {9, 10, 12, 13, 26})
# Bytes of a line that is too long: plenty for what a bad row shows of it.
_KEPT_OF_LONG_LINE = 4096
# Leading bytes of punctuation and of the characters of everyday use.
_FIRST_LEVEL = {
    "gb2312": {*range(0xA1, 0xA4), *range(0xB0, 0xD8)},
    "big5": {*range(0xA1, 0xC7)},
}


class Line(NamedTuple):
    """A physical line without its end; `fault` says in Chinese why it cannot be trusted."""

    number: int
    text: str
    fault: str | None


class Encoding(NamedTuple):
    """The codec of a file and how many bytes its byte order mark takes."""

    codec: str
    skip: int


def detect(path: Path) -> Encoding | None:
    """Say which encoding a file is in, None where it is no text in any that is known.

    :raises UnreadableFile: the operating system does not hand the file out.
    """
    try:
        with path.open("rb") as stream:
            sample = _telling_sample(stream)
    except OSError as error:
        raise unreadable_os(path, error) from error
    for bom, codec in _BOMS:
        if sample.startswith(bom):
            return Encoding(codec, len(bom))
    found = _codec(sample)
    return None if found is None else Encoding(found, 0)


def lines(path: Path, encoding: Encoding) -> Iterator[Line]:
    r"""Read a file line by line; `\n`, `\r\n` and `\r` end a line, NUL bytes are dropped.

    A line that cannot be decoded, or is longer than `MAX_LINE_BYTES`, comes with a fault; the rest goes on.

    :raises UnreadableFile: the operating system does not hand the file out.
    """
    # UTF-16 is carried over to UTF-8 first: only there does a newline byte always mean a newline.
    codec = "utf-8" if encoding.codec.startswith("utf-16") else encoding.codec
    try:
        with path.open("rb") as stream:
            stream.seek(encoding.skip)
            chunks = _transcoded(stream, encoding.codec) if codec != encoding.codec else _chunks(stream)
            for number, (raw, is_cut) in enumerate(_byte_lines(chunks), start=1):
                raw = raw.replace(b"\0", b"")
                yield _cut_line(number, raw, codec) if is_cut else _line(number, raw, codec, encoding.codec)
    except OSError as error:
        raise unreadable_os(path, error) from error


def _line(number: int, raw: bytes, codec: str, original: str) -> Line:
    try:
        return Line(number, raw.decode(codec), None)
    except UnicodeDecodeError:
        fault = f"这一行有不能按 {original.upper()} 编码识别的字节"
        return Line(number, raw.decode(codec, "replace"), fault)


def _cut_line(number: int, raw: bytes, codec: str) -> Line:
    return Line(number, raw[:_KEPT_OF_LONG_LINE].decode(codec, "replace"), TOO_LONG)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _transcoded(stream: BinaryIO, codec: str) -> Iterator[bytes]:
    # Lone surrogates pass through here, so that the line they stand in fails to decode as UTF-8.
    decoder = codecs.getincrementaldecoder(codec)("surrogatepass")
    for chunk in _chunks(stream):
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        yield b"\xff"  # half a character at the end of the file: makes the last line a bad one


def _byte_lines(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    rest, is_cut = b"", False
    for chunk in chunks:
        parts = (rest + chunk).splitlines(keepends=True)
        # A last part that ends in \r waits too: its \n may be the first byte of the next chunk.
        rest = b"" if not parts or parts[-1].endswith(b"\n") else parts.pop()
        for part in parts:
            yield part.rstrip(b"\r\n"), is_cut or len(part) > MAX_LINE_BYTES
            is_cut = False
        if len(rest) > MAX_LINE_BYTES:
            is_cut = True
            rest = rest[:_KEPT_OF_LONG_LINE] + (b"\r" if rest.endswith(b"\r") else b"")
    if rest:
        yield rest.rstrip(b"\r\n"), is_cut


def _telling_sample(stream: BinaryIO) -> bytes:
    """Read the first sample that is not all ASCII, for ASCII tells nothing; the first if all are."""
    sample = first = stream.read(SAMPLE_BYTES)
    while sample.isascii():
        following = stream.read(SAMPLE_BYTES)
        if not following:
            return first
        sample = following
    return sample


def _codec(sample: bytes) -> str | None:
    if utf16 := _unmarked_utf16(sample):
        return utf16
    if sample.count(b"\0") > len(sample) * MAX_NUL_SHARE:
        return None
    sample = sample.replace(b"\0", b"")
    if len(sample) - len(sample.translate(None, _CONTROL)) > len(sample) * MAX_CONTROL_SHARE:
        return None
    text, wrong = _decoded(sample, "utf-8")
    # Three-byte sequences hardly ever come about by chance, so they outweigh as many wrong bytes.
    if wrong == 0 or sum(char > "\u07ff" for char in text) - wrong >= wrong:
        return "utf-8"
    text, wrong = _decoded(sample, "gb18030")
    if _everyday_share(text) < DOUBT_SHARE and _is_big5(sample):
        return "big5hkscs"
    return "gb18030" if wrong <= len(text) * MAX_WRONG_SHARE else None


def _unmarked_utf16(sample: bytes) -> str | None:
    """Tell UTF-16 without a mark by the NULs of its ASCII, as delimiters and line ends, and by what it says."""
    if sample.count(0) < MIN_NULS:
        return None
    for codec in ("utf-16-le", "utf-16-be"):
        text, wrong = _decoded(sample, codec)
        is_text = not wrong and "\0" not in text and any(end in text for end in "\n\r,\t;|")
        if is_text and _everyday_share(text) >= DOUBT_SHARE:
            return codec
    return None


def _decoded(sample: bytes, codec: str) -> tuple[str, int]:
    """Decode a sample and count the wrong places; a character cut at the sample's end is none."""
    text = codecs.getincrementaldecoder(codec)("replace").decode(sample)
    own = sample.count(b"\xef\xbf\xbd") if codec == "utf-8" else 0
    return text, text.count("\ufffd") - own


def _everyday_share(text: str, codec: str = "gb2312") -> float:
    """Share of the characters beyond ASCII that are punctuation or in the first level of a standard."""
    beyond = [char for char in text if char > "\x7f"]
    codes = (char.encode(codec, "replace") for char in beyond)
    everyday = sum(code[0] in _FIRST_LEVEL[codec] for code in codes)
    return everyday / len(beyond) if beyond else 1.0


def _is_big5(sample: bytes) -> bool:
    text, wrong = _decoded(sample, "big5hkscs")
    return wrong <= len(text) * MAX_WRONG_SHARE and _everyday_share(text, "big5") >= BIG5_SHARE
