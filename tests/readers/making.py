"""Files of every format, made in code: what the tests of the readers and the fuzzing start from."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

import openpyxl

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
Cell = str | None

# As an enterprise fills in the form of a provincial platform: sections, merged cells, hints and boxes to tick.
NEED_FORM: list[list[Cell]] = [
    ["企业基本情况", "企 业 名 称", "四川云耳食品有限公司", "所属行业", "农产品初加工"],
    [None, "联系人", "王某某", "联系电话", "0827-0000000"],
    ["需求名称（限30字）", "银耳低温烘干降耗", None, None, None],
    ["需求描述", "每批烘26小时，能耗偏高，色泽发黄。", None, None, None],
    ["主要技术指标", "烘干时间不超过15小时。", None, None, None],
    ["拟投入资金（万元）", "80-150", "合作方式", "□技术转让 ☑技术开发 □技术入股", None],
]


def zipped(parts: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Pack members into an archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return content.getvalue()


def xlsx(*sheets: Sequence[Sequence[object]], names: Sequence[str] = ()) -> bytes:
    """Make a workbook of these sheets."""
    book, content = openpyxl.Workbook(), io.BytesIO()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(names[number] if names else f"表{number + 1}")
        for row in rows:
            sheet.append(list(row))
    book.save(content)
    return content.getvalue()


# ---------------------------------------------------------------- Word


def paragraph(text: str) -> str:
    """A paragraph of WordprocessingML, its text in two runs as Word likes to cut it."""
    half = len(text) // 2
    runs = (f'<w:r><w:t xml:space="preserve">{escape(part)}</w:t></w:r>' for part in (text[:half], text[half:]))
    return f"<w:p><w:pPr><w:jc/></w:pPr>{''.join(runs)}</w:p>"


def word_table(rows: Sequence[Sequence[Cell]]) -> str:
    """A table of WordprocessingML; None continues the cell to the left, or the one above in the first column."""
    lines = []
    for row in rows:
        cells: list[tuple[str, int, str]] = []
        for at, cell in enumerate(row):
            if cell is None and at:
                text, span, merge = cells[-1]
                cells[-1] = (text, span + 1, merge)
            else:
                cells.append((cell or "", 1, "<w:vMerge/>" if cell is None else _begins(rows, row, at)))
        lines.append("".join(f"<w:tr>{''.join(_word_cell(*cell) for cell in cells)}</w:tr>"))
    return f"<w:tbl><w:tblPr/>{''.join(lines)}</w:tbl>"


def _begins(rows: Sequence[Sequence[Cell]], row: Sequence[Cell], at: int) -> str:
    below = rows.index(row) + 1
    merges = at == 0 and below < len(rows) and rows[below][0] is None
    return '<w:vMerge w:val="restart"/>' if merges else ""


def _word_cell(text: str, span: int, merge: str) -> str:
    spans = f'<w:gridSpan w:val="{span}"/>' if span > 1 else ""
    content = "".join(map(paragraph, text.split("\n")))
    return f"<w:tc><w:tcPr>{spans}{merge}</w:tcPr>{content}</w:tc>"


def docx(*blocks: str, more: Mapping[str, bytes] | None = None) -> bytes:
    """Make a document of these blocks of WordprocessingML."""
    document = f'<?xml version="1.0"?><w:document xmlns:w="{WORD}"><w:body>{"".join(blocks)}</w:body></w:document>'
    kinds = '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    return zipped({"[Content_Types].xml": kinds, "word/document.xml": document, **(more or {})})


# ---------------------------------------------------------------- PDF


def pdf(*blocks: str | list[list[Cell]], password: str | None = None, is_compressed: bool = True) -> bytes:
    """Make a PDF of paragraphs and ruled tables; None continues a cell as in `word_table`."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    style = ParagraphStyle("Chinese", fontName="STSong-Light", fontSize=10, leading=14, wordWrap="CJK")
    flow: list[Flowable] = []
    for block in blocks:
        if isinstance(block, str):
            flow.append(Paragraph(escape(block), style))
            continue
        rows = [[Paragraph(escape(cell or ""), style) for cell in row] for row in block]
        width = (A4[0] - 100) / len(block[0])
        flow += [Table(rows, colWidths=[width] * len(block[0]), style=_spans(block), splitInRow=1), Spacer(1, 14)]
    content = io.BytesIO()
    encryption = StandardEncryption(password) if password else None
    margins = {"leftMargin": 50, "rightMargin": 50}
    document = SimpleDocTemplate(
        content, pagesize=A4, encrypt=encryption, pageCompression=int(is_compressed), invariant=1, **margins
    )
    document.build(flow)
    return content.getvalue()


def _spans(rows: list[list[Cell]]) -> list[tuple[object, ...]]:
    style: list[tuple[object, ...]] = [("GRID", (0, 0), (-1, -1), 0.5, (0, 0, 0)), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    for at, row in enumerate(rows):
        for place, cell in enumerate(row):
            right = place
            while right + 1 < len(row) and row[right + 1] is None:
                right += 1
            below = at
            while place == 0 and below + 1 < len(rows) and rows[below + 1][0] is None:
                below += 1
            if cell is not None and (right > place or below > at):
                style.append(("SPAN", (place, at), (right, below)))
    return style


# ---------------------------------------------------------------- old Excel


def xls(*sheets: Sequence[Sequence[str | float]], is_locked: bool = False, others: Sequence[str] = ()) -> bytes:
    """Make an Excel 97 workbook: BIFF8 records in an OLE file, beside other streams of these names."""
    names = [f"表{number}" for number in range(1, len(sheets) + 1)]
    head = _biff(0x0809, struct.pack("<HHHHLL", 0x0600, 0x0005, 0x0DBB, 0x07CC, 0, 6))
    head += _biff(0x002F, b"\1" + bytes(53)) if is_locked else b""
    head += _biff(0x0042, struct.pack("<H", 1200))
    bodies = [_sheet(rows) for rows in sheets]
    bounds = [_unicode(name, "<B") for name in names]
    at = len(head) + sum(len(_biff(0x0085, bytes(6) + bound)) for bound in bounds) + len(_biff(0x000A, b""))
    for bound, body in zip(bounds, bodies, strict=True):
        head += _biff(0x0085, struct.pack("<LH", at, 0) + bound)
        at += len(body)
    workbook = head + _biff(0x000A, b"") + b"".join(bodies)
    return ole({"Workbook": workbook, **dict.fromkeys(others, b"x")})


def _sheet(rows: Sequence[Sequence[str | float]]) -> bytes:
    width = max(map(len, rows), default=0)
    records = [_biff(0x0809, struct.pack("<HHHHLL", 0x0600, 0x0010, 0x0DBB, 0x07CC, 0, 6))]
    records.append(_biff(0x0200, struct.pack("<LLHHH", 0, len(rows), 0, width, 0)))
    for at, row in enumerate(rows):
        for place, cell in enumerate(row):
            start = struct.pack("<HHH", at, place, 0)
            if isinstance(cell, str):
                records.append(_biff(0x0204, start + _unicode(cell, "<H")))
            else:
                records.append(_biff(0x0203, start + struct.pack("<d", cell)))
    return b"".join([*records, _biff(0x000A, b"")])


def _biff(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _unicode(text: str, length: str) -> bytes:
    return struct.pack(length, len(text)) + b"\x01" + text.encode("utf-16-le")


def ole(streams: Mapping[str, bytes]) -> bytes:
    """Make an OLE compound file of these streams, each padded to the size below which streams are kept apart."""
    free, end, fat_mark = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    contents = [data.ljust(max(4096, -(-len(data) // 512) * 512), b"\0") for data in streams.values()]
    fat: list[int] = [fat_mark, end]  # sector 0 is the table itself, sector 1 the directory
    entries = [_ole_entry("Root Entry", 5, end, 0, child=1 if streams else free)]
    for number, (name, data) in enumerate(zip(streams, contents, strict=True), start=1):
        first, count = len(fat), len(data) // 512
        fat += [*range(first + 1, first + count), end]
        following = number + 1 if number < len(streams) else free
        entries.append(_ole_entry(name, 2, first, len(data), right=following))
    directory = b"".join(entries).ljust(512, b"\0")[:512]
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHHHLLLLLLLLLL", 0x3E, 3, 0xFFFE, 9, 6, 0, 0, 0, 1, 1, 0, 4096, end, 0, end, 0)
    head += struct.pack("<109L", 0, *[free] * 108)
    table = struct.pack("<128L", *fat, *[free] * (128 - len(fat)))
    return head + table + directory + b"".join(contents)


def _ole_entry(name: str, kind: int, start: int, size: int, child: int = 0xFFFFFFFF, right: int = 0xFFFFFFFF) -> bytes:
    raw = name.encode("utf-16-le") + b"\0\0"
    links = struct.pack("<BBLLL", kind, 1, 0xFFFFFFFF, right, child)
    return raw.ljust(64, b"\0") + struct.pack("<H", len(raw)) + links + bytes(36) + struct.pack("<LLL", start, size, 0)


# ---------------------------------------------------------------- patents

ST36 = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE cn-patent-document SYSTEM "cn-patent-document-06-10-27.dtd">
<cn-patent-document lang="zh" country="CN">
<cn-bibliographic-data lang="zh" country="CN">
<cn-publication-reference><document-id><country>CN</country><doc-number>199100001</doc-number>
<kind>A</kind><date>20220501</date></document-id></cn-publication-reference>
<application-reference appl-type="发明专利"><document-id><country>CN</country><doc-number>202110000001.2</doc-number>
<date>20210416</date></document-id></application-reference>
<classifications-ipcr><classification-ipcr><text>F26B   9/06   (2006.01)I</text></classification-ipcr>
<classification-ipcr><section>A</section><class>23</class><subclass>B</subclass><main-group>7</main-group>
<subgroup>02</subgroup></classification-ipcr></classifications-ipcr>
<invention-title lang="en">Dryer</invention-title><invention-title>一种银耳<i>干燥</i>箱</invention-title>
<cn-parties><cn-applicants><cn-applicant sequence="1"><name>蜀北农林大学</name>
<address><text>四川省巴中市恩阳区某路1号</text></address></cn-applicant>
<cn-applicant sequence="2"><name>四川云耳食品有限公司</name></cn-applicant></cn-applicants>
<cn-inventors><cn-inventor><name>甲某</name></cn-inventor><cn-inventor><name>乙某</name></cn-inventor></cn-inventors>
</cn-parties>
<abstract lang="zh"><p num="0001">包括箱体和热泵。</p><p num="0002">能耗低。<img file="x.tif"/></p></abstract>
<legal-status>实质审查</legal-status>
</cn-bibliographic-data>
<application-body><description><p>说明书全文。</p></description><claims><claim>一种箱。</claim></claims></application-body>
</cn-patent-document>
"""

ST96 = """<?xml version="1.0" encoding="{encoding}"?>
<business:PatentDocuments xmlns:business="urn:b" xmlns:base="urn:c">{patents}</business:PatentDocuments>
"""
ST96_PATENT = """
<business:PatentDocumentAndRelated><business:BibliographicData>
<business:PublicationReference><base:DocumentID><base:WIPOST3Code>CN</base:WIPOST3Code>
<base:DocNumber>19910{number:04d}</base:DocNumber><base:Kind>B</base:Kind><base:Date>20230501</base:Date>
</base:DocumentID></business:PublicationReference>
<business:ApplicationReference><base:DocumentID><base:DocNumber>20220000{number:04d}</base:DocNumber>
<base:Date>20220416</base:Date></base:DocumentID></business:ApplicationReference>
<business:ClassificationIPCRDetails><business:ClassificationIPCR><base:Text>C01B 32/21</base:Text>
</business:ClassificationIPCR></business:ClassificationIPCRDetails>
<business:InventionTitle>一种石墨提纯炉{number}</business:InventionTitle>
<business:Parties><business:ApplicantDetails><business:Applicant><base:AddressBook><base:Name>旧主</base:Name>
</base:AddressBook></business:Applicant></business:ApplicantDetails>
<business:AssigneeDetails><business:Assignee><base:AddressBook><base:Name>川北矿冶研究院</base:Name>
</base:AddressBook></business:Assignee></business:AssigneeDetails></business:Parties>
<business:Abstract><base:Paragraphs>包括炉体。</base:Paragraphs></business:Abstract>
</business:BibliographicData></business:PatentDocumentAndRelated>
"""


def st96(count: int, encoding: str = "UTF-8") -> bytes:
    """Make a file of patents as the office's data service gives them out."""
    patents = "".join(ST96_PATENT.format(number=number) for number in range(1, count + 1))
    return ST96.format(encoding=encoding, patents=patents).encode(encoding)
