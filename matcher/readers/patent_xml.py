"""Reads patents as offices publish them in XML: WIPO ST.36 (cn-patent-document) and ST.96, streamed.

Names are compared without prefix, case, hyphens and the office's own `cn-`, so that both standards and their
dialects are read by the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lxml import etree

from matcher.readers.base import BadRow, LazyRows, Parts, Row, Table, bad_row, clean_cell, unreadable

#: Fed to the parser at a time.
CHUNK_BYTES = 256 * 1024
#: A patent with its full text has some 100 KB; those with sequence listings a few MB.
MAX_RECORD_BYTES = 32 * 1024 * 1024

COLUMNS = (
    *("公开（公告）号", "申请号", "标题", "摘要", "申请（专利权）人", "发明人", "IPC分类号", "法律状态"),
    *("申请日", "公开（公告）日", "申请人地址"),
)

_RECORDS = {
    *("patentdocument", "patentdocumentandrelated", "exchangedocument", "patentgrant", "patentapplicationpublication"),
    *("uspatentgrant", "uspatentapplication", "patent", "patentrecord", "patentpublication", "applicationbody"),
    *("utilitymodel", "inventionpatent", "designpatent", "bibliographicdata"),
}
# What is large and not needed.
_DROPPED = {"description", "claims", "drawings", "image", "sequencelist", "searchreportdata"}
_HAN = re.compile(r"[\u4e00-\u9fff]")
_EXPORT = "请从原系统导出为 xlsx、csv 或 jsonl 再导入"


def read_patent_xml(path: Path) -> Parts:
    """Open a file of patents; `line` is where the patent begins.

    :raises UnreadableFile: no XML, no patents, or with entities of its own.
    """
    rows = LazyRows(lambda: _rows(path))
    first = next(iter(rows), None)
    if first is None:
        raise unreadable(path, "这个 XML 里没有找到专利的著录项目", _EXPORT)
    if isinstance(first, BadRow):
        raise unreadable(path, "这个 XML 不完整或有错", "请重新下载或重新导出后再试")
    yield Table(COLUMNS, rows, kind="patent")


def _rows(path: Path) -> Iterator[Row | BadRow]:
    parser = etree.XMLPullParser(
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    events = parser.read_events()
    with path.open("rb") as stream:
        state = _State(path)
        try:
            while chunk := stream.read(CHUNK_BYTES):
                parser.feed(chunk)
                yield from state.take(events)
                state.fed(len(chunk))
            parser.close()
            yield from state.take(events)
        except etree.XMLSyntaxError as error:
            yield from state.take(events)
            place = error.lineno or 1
            yield bad_row(place, "从这里起不是完整的 XML，后面的内容没有读入", str(error.msg or ""))


class _State:
    """Where the parser stands: within which patent, and how much it has read since the last one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._record: etree._Element | None = None
        self._is_first = True
        self._since = 0

    def fed(self, size: int) -> None:
        """Count what was read.

        :raises UnreadableFile: too much since the last patent ended.
        """
        self._since += size
        if self._since > MAX_RECORD_BYTES:
            what = f"一件专利的 XML 超过 {MAX_RECORD_BYTES // 1024**2} MB，或者里面没有专利"
            raise unreadable(self._path, what, _EXPORT)

    def take(self, events: Iterable[tuple[str, etree._Element]]) -> Iterator[Row]:
        """Give the patents that have ended; everything else is dropped at once."""
        for event, element in events:
            name = _name(element)
            if event == "start":
                if self._is_first:
                    self._is_first = False
                    _check_root(self._path, element)
                if self._record is None and name in _RECORDS:
                    self._record = element
            elif self._record is not None and element is self._record:
                line = element.sourceline or 1
                values = {column: text for column, text in _values(element).items() if text}
                self._record, self._since = None, 0
                _drop(element)
                if values:
                    yield Row(line, values)
            elif self._record is None:
                _drop(element)
            elif name in _DROPPED:
                element.clear()


def _check_root(path: Path, root: etree._Element) -> None:
    name = _name(root)
    if name in ("html", "workbook"):
        what = "这是网页（HTML/XML），只是换了扩展名，不是真正的表格"
        raise unreadable(path, what, "请用 Excel 或 WPS 打开后另存为 xlsx 或 csv 再导入")
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and next(dtd.iterentities(), None) is not None:
        raise unreadable(path, "这个 XML 定义了实体，可能是有意做坏的", _EXPORT)


def _drop(element: etree._Element) -> None:
    """Free an element and what stands before it; its parent keeps growing otherwise."""
    element.clear()
    while (before := element.getprevious()) is not None:
        parent = before.getparent()
        if parent is None:
            break
        parent.remove(before)


# ---------------------------------------------------------------- one patent


def _values(record: etree._Element) -> dict[str, str]:
    publication = _first(record, "publicationreference", "patentpublicationidentification")
    application = _first(record, "applicationreference", "applicationidentification")
    owners = _names(record, ("assignee", "patentee", "grantee")) or _names(record, ("applicant",))
    return {
        "公开（公告）号": _number(publication),
        "申请号": _number(application),
        "标题": _title(record),
        "摘要": _abstract(record),
        "申请（专利权）人": "；".join(owners),
        "发明人": "；".join(_names(record, ("inventor",))),
        "IPC分类号": "；".join(_ipc(record)),
        "法律状态": _text(_last(record, "legalstatus", "legalstatuscode", "legalstatusdescription")),
        "申请日": _text(_first(application, "date", "filingdate", "applicationdate")),
        "公开（公告）日": _text(_first(publication, "date", "publicationdate")),
        "申请人地址": _address(record),
    }


def _number(reference: etree._Element | None) -> str:
    """Give country, number and kind code as one: CN, 112345678 and A are CN112345678A."""
    if reference is None:
        return ""
    own = _first(reference, "documentid") if _name(reference) != "documentid" else reference
    own = reference if own is None else own
    number = _text(_first(own, "docnumber", "publicationnumber", "applicationnumbertext", "applicationnumber"))
    country = _text(_first(own, "country", "ipofficecode", "wipost3code", "officecode"))
    kind = _text(_first(own, "kind", "patentdocumentkindcode", "kindcode"))
    number = number if not number or number.upper().startswith(country.upper()) else country + number
    return number if not number or not kind or number.upper().endswith(kind.upper()) else number + kind


def _title(record: etree._Element) -> str:
    return _chinese([(each, _text(each)) for each in _all(record, "inventiontitle", "title")])


def _abstract(record: etree._Element) -> str:
    found = []
    for abstract in _all(record, "abstract"):
        paragraphs = [_text(each) for each in _all(abstract, "p", "paragraph", "paragraphs", "abstractparagraph")]
        found.append((abstract, "\n".join(filter(None, paragraphs)) or _text(abstract)))
    return _chinese(found)


def _chinese(texts: list[tuple[etree._Element, str]]) -> str:
    """Of one text in several languages, give the Chinese one, or the first that says anything."""
    said = [(element, text) for element, text in texts if text]
    marked = [text for element, text in said if _language(element).startswith(("zh", "cn", "chi"))]
    written = [text for _, text in said if _HAN.search(text)]
    return next(iter((*marked, *written, *(text for _, text in said))), "")


def _names(record: etree._Element, roles: tuple[str, ...]) -> list[str]:
    """Give the names of all who have one of these roles, each once."""
    names = []
    for party in _all(record, *roles):
        found = _first(party, "orgname", "organizationname", "organizationstandardname", "name", "entityname")
        found = _first(party, "lastname", "personfullname", "fullname") if found is None else found
        names.append(_text(found) or _text(party) if found is not None or not len(party) else "")
    return list(dict.fromkeys(filter(None, names)))


def _ipc(record: etree._Element) -> list[str]:
    codes = []
    for each in _all(record, "classificationipcr", "ipcrclassification", "classificationipc", "mainclassification"):
        own = _first(each, "text")
        section = [_text(_first(each, name)) for name in ("section", "class", "subclass", "maingroup", "subgroup")]
        if all(section):
            codes.append("{}{}{}{}/{}".format(*section))
        elif own is not None:
            codes.append(_text(own).split("(")[0].strip())
        else:
            main = [*_all(each, "mainclassification", "furtherclassification")]
            codes += [_text(one) for one in main] if main else [] if len(each) else [_text(each)]
    return list(dict.fromkeys("".join(code.split()) for code in codes if code.strip()))


def _address(record: etree._Element) -> str:
    for party in _all(record, "assignee", "patentee", "applicant"):
        if (found := _first(party, "address", "postaladdress", "postaladdressbag")) is not None:
            lines = [_text(each) for each in _all(found, "text", "address1", "postaladdresstext")]
            return (lines or [_text(found)])[0]
    return ""


def _all(element: etree._Element | None, *names: str) -> Iterator[etree._Element]:
    """Find the elements of these names within another, not those within one already found."""
    waiting = list(reversed(element)) if element is not None else []
    while waiting:
        child = waiting.pop()
        if _name(child) in names:
            yield child
        else:
            waiting.extend(reversed(child))


def _first(element: etree._Element | None, *names: str) -> etree._Element | None:
    return next(_all(element, *names), None)


def _last(element: etree._Element | None, *names: str) -> etree._Element | None:
    found = list(_all(element, *names))
    return found[-1] if found else None


def _text(element: etree._Element | None) -> str:
    if element is None:
        return ""
    return " ".join(clean_cell("".join(map(str, element.itertext()))).split())


def _language(element: etree._Element) -> str:
    return next((str(value).lower() for key, value in element.attrib.items() if "lang" in str(key).lower()), "")


def _name(element: etree._Element) -> str:
    """Give the local name without case, hyphens and the office's own prefix; nothing for an entity."""
    tag = element.tag
    if not isinstance(tag, str):
        return ""
    name = tag.rpartition("}")[2].rpartition(":")[2].replace("-", "").replace("_", "").lower()
    return name[2:] if name.startswith("cn") and len(name) > 4 else name
