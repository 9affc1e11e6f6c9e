from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.privacy import MARKS, masked, purged

DATA = Path(__file__).parents[2] / "shared" / "data"
PHONE, MAIL, QQ, WECHAT, NAME, IDENTITY = (
    MARKS[kind] for kind in ("phone", "mail", "qq", "wechat", "name", "identity")
)

HIDDEN = [
    ("联系电话：13800138000。", f"联系电话：{PHONE}。"),
    ("手机 138-0013-8000，传真：0827-5261234", f"手机 {PHONE}，传真：{PHONE}"),
    ("（+86）138 0013 8000", PHONE),
    ("8613800138000、0086 13800138000", f"{PHONE}、{PHONE}"),
    ("１３８００１３８０００", PHONE),
    ("1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0️⃣", PHONE),
    ("一三八零零一三八零零零", PHONE),
    ("幺三八00幺38〇〇〇", PHONE),
    ("1 3 8 0 0 1 3 8 0 0 0", PHONE),
    ("138.0013.8000 138_0013_8000 138·0013·8000 (138)0013-8000", f"{PHONE} {PHONE} {PHONE} {PHONE}"),
    ("①13800138000；1.13800138000", f"①{PHONE}；1.{PHONE}"),
    ("电话:(028)85412345转8001", f"电话:{PHONE}"),
    ("010-62345678/62345679，0827-5261234/5", f"{PHONE}，{PHONE}"),
    ("电话 5261234、5265678", f"电话 {PHONE}"),
    ("电话：138,0013,8000", f"电话：{PHONE}"),
    ("热线400-820-8820、4008208820、400 820 8820", f"热线{PHONE}、{PHONE}、{PHONE}"),
    ("电话:+852 2345 6789；Tel: +1 (202) 555-0123", f"电话:{PHONE}；Tel: {PHONE}"),
    ("Tel13800138000", f"Tel{PHONE}"),
    ("zhangsan@163.com", MAIL),
    ("zhang.san ＠ example.edu.cn", MAIL),
    ("ｚｓ＠１６３．ｃｏｍ", MAIL),
    ("张三 at 163.com", MAIL),
    ("zhangsan(at)qq.com zhangsan#example.edu.cn zhangsan[at]163[dot]com", f"{MAIL} {MAIL} {MAIL}"),
    ("请发到zhangsan@163。com", f"请发到{MAIL}"),
    ("13800138000@163.com", MAIL),
    ("QQ：12345678", f"QQ：{QQ}"),
    ("加QQ12345678，QQ群 987654321", f"加QQ{QQ}，QQ群 {QQ}"),
    ("微信号：zhang_san88", f"微信号：{WECHAT}"),
    ("加微信lisiabc，vx:abcdefg，WeChat ID：li-si-99", f"加微信{WECHAT}，vx:{WECHAT}，WeChat ID：{WECHAT}"),
    ("身份证51010119900101123X", f"身份证{IDENTITY}"),
    ("510101 19900101 1234", IDENTITY),
    ("身份证号：510101900101123", f"身份证号：{IDENTITY}"),
    ("联系人：张三", f"联系人：{NAME}"),
    ("联系人 李四，联系人为王五", f"联系人 {NAME}，联系人为{NAME}"),
    ("联系人：王女士；联系人：欧阳建国；联系人：张 三", f"联系人：{NAME}；联系人：{NAME}；联系人：{NAME}"),
    ("联系人（技术）：市场部王经理", f"联系人（技术）：{NAME}"),
    ("联系人：张**、李四", f"联系人：{NAME}、{NAME}"),
    ("联系人张三电话", f"联系人{NAME}电话"),
    ("联系人: Zhang San, Tel", f"联系人: {NAME}, Tel"),
    ("请联系王工13800138000或张三 13900139000。", f"请联系{NAME}{PHONE}或{NAME} {PHONE}。"),
    ("张三13800138000", f"{NAME}{PHONE}"),
    ("13800138000（李经理），5261234转王五", f"{PHONE}（{NAME}），5261234转王五"),
]

LEFT = [
    "专利号：ZL202310123456.7，CN202310123456.7，CN101234567A，CN 113800138 B，US 10,138,001 B2",
    "申请号2023101234567，2018 1 3800138.5，PCT/CN2023/138001",
    "批号15012345678、15012345679，型号YD15012345678，No. 13812345678",
    "产能13800000000元，15000000000.00，13812345678吨，$13812345678",
    "150 2000 3000 rpm，15000-200000转，400 600 1000，400-600-1000，1500-1800-2400",
    "2023-10-12 10:30，1994-2000年，20231012，2011-2040年",
    "106.7437,31.8691，E106°43′28.5″，0.13800138000，192.168.10.100",
    "GB/T 12345-2020，GB 2762-2005，DB 44/26-2001，ISO 9001:2015，IPC A61K31/00，H01L21/336",
    "doi:10.1016/j.cnki.13800138000，https://example.com/a/13800138000",
    "(10,20,30,50)，0.695、0.605、0.383、0.495、0.381，25(1),067-070，5 772.02、993.98 mg",
    "电话拨打记录、联系人确认情况，联系人信息管理，联系人方式，联系人：同上",
    "微信小程序，微信公众号，微信二维码，QQ音乐，VxWorks 6，vxlan域",
    "12V@3A，90%@450nm，Fe3O4@SiO2，2#、3#这3个，a#H是斜群环，十@五",
    "基因Os05g0462000，NC_010455.5的27449811bp处，rs81383838",
]


@pytest.mark.parametrize(("text", "shown"), HIDDEN)
def test_personal_data_are_hidden(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize("text", LEFT)
def test_the_numbers_of_technical_text_stay(text: str) -> None:
    assert masked(text) == text


def test_what_is_purged_leaves_neither_itself_nor_a_word_that_could_be_found() -> None:
    assert purged("银耳烘干，联系人：张三，电话13800138000") == "银耳烘干，联系人：，，电话，"
    assert purged("138a@163.com00138000") == "，00138000"


WIDE = str.maketrans("0123456789+-() @.", "０１２３４５６７８９＋－（）　＠．")
HAN = str.maketrans("0123456789", "〇一二三四五六七八九")
# What people write before and behind a contact.
BEFORE = st.sampled_from(
    ["", "，", "联系电话：", "手机", "Tel: ", "请联系王工 ", "（", "\n", "1、", "或", "发至 ", "T："]
)
BEHIND = st.sampled_from(["", "。", "，", "（微信同号）", "\n", " 张三", "）", "；邮编636600", "，共3项"])
GAPS = st.sampled_from(["", " ", "-", "－", "—", ".", "·", "_", "  ", "\u3000", " - ", "\u200b", "\u00a0"])


@st.composite
def mobiles(draw: st.DrawFn) -> str:
    digits = draw(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
    gap = draw(GAPS)
    groups = draw(st.sampled_from([(3, 4, 4), (4, 3, 4), (3, 3, 5), (4, 4, 3), (11,)]))
    parts, start = [], 0
    for length in groups:
        parts.append(digits[start : start + length])
        start += length
    # Quantities such as 150 2000 3000 are parted alike.
    if len(parts) > 1 and gap and all(int(part) % 50 == 0 and part[0] != "0" for part in parts):
        parts[-1] = "0017"[: len(parts[-1])].rjust(len(parts[-1]), "0")
    country = draw(st.sampled_from(["", "+86", "+86 ", "+86-", "86-", "0086", "（+86）", "(86)"]))
    text = country + gap.join(parts)
    match draw(st.sampled_from(["plain", "plain", "wide", "han"])):
        case "wide":
            text = text.translate(WIDE)
        case "han" if not country and gap in ("", " ", "-"):
            text = text.translate(HAN)
    return text


@st.composite
def landlines(draw: st.DrawFn) -> str:
    area = draw(st.sampled_from(["010", "021", "028", "0827", "0755", "0571", "0991"]))
    local = draw(st.from_regex(r"[2-8][0-9]{6,7}", fullmatch=True))
    gap = draw(st.sampled_from(["", "-", " ", "－", "—", " - ", "–"]))
    inner = draw(st.sampled_from(["", " ", "-"]))
    number = f"{local[:4]}{inner}{local[4:]}" if len(local) == 8 else f"{local[:3]}{inner}{local[3:]}"
    extension = draw(st.sampled_from(["", "-8001", "转8001", " 转 12", "ext.305", "－12"]))
    text = draw(st.sampled_from([f"{area}{gap}{number}", f"({area}){number}", f"+86-{area[1:]}{gap}{number}"]))
    text += extension
    return text.translate(WIDE) if draw(st.booleans()) else text


@st.composite
def mails(draw: st.DrawFn) -> str:
    local = draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,30}", fullmatch=True))
    domain = draw(
        st.from_regex(r"(?:[a-zA-Z0-9\-]{1,12}\.){1,3}(?:com|cn|net|org|edu\.cn|com\.cn|COM)", fullmatch=True)
    )
    sign = draw(st.sampled_from(["@", "＠", " @ ", "@ ", "(at)", "[at]", "（at）", " (AT) ", "艾特"]))
    text = f"{local}{sign}{domain}"
    return text.translate(WIDE) if draw(st.booleans()) else text


@given(BEFORE, mobiles() | landlines(), BEHIND)
def test_every_telephone_number_is_hidden_in_whatever_way_it_is_written(before: str, number: str, behind: str) -> None:
    shown = masked(f"{before}{number}{behind}")
    assert PHONE in shown
    assert re.findall(r"\d|[〇一二三四五六七八九]{2,}", shown) == re.findall(r"\d", before + behind)


@given(BEFORE, mails(), BEHIND)
def test_every_mail_address_is_hidden_in_whatever_way_it_is_written(before: str, mail: str, behind: str) -> None:
    shown = masked(f"{before}{mail}{behind}")
    assert MAIL in shown
    assert not re.search("[@＠艾]", shown)


@st.composite
def numbers_of_patents(draw: st.DrawFn) -> str:
    digits = st.text("0123456789", min_size=4, max_size=4)
    year = draw(st.integers(1985, 2030))
    kind = draw(st.sampled_from("1238"))
    serial = draw(st.text("0123456789", min_size=7, max_size=7))
    check = draw(st.sampled_from("0123456789X"))
    publication = draw(st.from_regex(r"CN[1-3][0-9]{6,8}[ABUSCY]", fullmatch=True))
    standard = f"GB/T {draw(st.integers(1, 99999))}-{draw(st.integers(1980, 2030))}"
    application = f"{year}{kind}{serial}.{check}"
    lots = "、".join(draw(st.lists(st.from_regex(r"[1-9][0-9]{10}", fullmatch=True), min_size=1, max_size=3)))
    return draw(
        st.sampled_from(
            [
                *(application, f"CN{application}", f"ZL{application}", f"ZL {year} {kind} {serial}.{check}"),
                *(publication, standard, f"批号：{lots}", f"{draw(digits)}-{draw(digits)}"),
            ]
        )
    )


@given(
    st.sampled_from(["", "专利", "，", "见", "（"]), numbers_of_patents(), st.sampled_from(["", "。", "，", "）", " "])
)
def test_no_number_of_a_patent_a_standard_or_a_lot_is_hidden(before: str, number: str, behind: str) -> None:
    assert masked(before + number + behind) == before + number + behind


# Pieces that patterns are made of, so that random texts come near them.
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "1",
                "3",
                "8",
                "0",
                "5",
                "86",
                "+",
                "13800138000",
                "0827",
                "5261234",
                "400",
                " ",
                "-",
                ".",
                "/",
                ",",
                "(",
                ")",
            ),
            *(
                "@",
                "＠",
                " at ",
                "a",
                "zh",
                "com",
                "163.com",
                "QQ",
                "微信",
                "vx",
                "：",
                "号",
                "联系人",
                "电话",
                "张",
                "三",
                "经理",
            ),
            *(
                "批号",
                "、",
                "一",
                "零",
                "\u200b",
                "①",
                "\n",
                "元",
                "［电话已隐藏］",
                "身份证",
                "510101199001011234",
                "#",
                "姓名",
                "*",
            ),
        ]
    ),
    max_size=30,
).map("".join)


@given(st.text() | PIECES)
def test_any_text_is_masked_once_and_for_all(text: str) -> None:
    once = masked(text)
    assert masked(once) == once
    bare = purged(text)
    assert purged(bare) == bare


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "1",
            "1 ",
            "1-",
            "13800138000",
            "13800138000 ",
            "0827-5261234/",
            "a",
            "a@",
            "a.",
            "@a.",
            "a@b.com",
            "电话",
            "电话:",
        ),
        *(
            "联系人：张",
            "联系人",
            "张三",
            "微信：",
            "微信号a",
            "qq",
            "q1",
            "一",
            "1一",
            "批号15012345678、",
            "(",
            "+86",
            "at ",
            "# ",
        ),
        *("\u200b1", "x", " ", "\n", "［电话已隐藏］1", "电话1", "电话(a)", "0", "400", "5 ", "10.1234/"),
    ],
)
def test_a_long_hostile_text_takes_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    masked("1@")  # tables are made once
    start = time.process_time()
    masked(text)
    assert time.process_time() - start < 3


def real_texts() -> Iterator[str]:
    for name in ("patents/patents.jsonl", "papers/csl.jsonl", "papers/csldcp.jsonl"):
        for line in (DATA / name).read_text("utf-8").splitlines():
            row = json.loads(line)
            yield f"{row.get('title', '')}。{row.get('abstract') or row.get('text')}"
    with (DATA / "needs" / "needs.csv").open(encoding="utf-8-sig", newline="") as file:
        for need in csv.DictReader(file):
            yield f"{need['title']}。{need['text']}"


@pytest.mark.skipif(not DATA.exists(), reason="the real data are not beside the repository")
def test_nothing_is_hidden_in_real_patents_papers_and_needs_that_hold_no_contact() -> None:
    assert [text for text in real_texts() if masked(text) != text] == []
