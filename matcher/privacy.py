"""Personal data inside free text: found in whatever way it is written, and hidden.

What is hidden: telephone numbers, mail addresses, QQ numbers, WeChat names, numbers of identity cards, and names
of contact persons. What is not: the numbers that technical text is full of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from matcher.persons import beside_number, labelled_names
from matcher.shadow import HAN_DIGITS, Shadow, Span

MARKS: Final = {
    "mail": "［邮箱已隐藏］",
    "identity": "［证件号已隐藏］",
    "wechat": "［微信已隐藏］",
    "qq": "［QQ已隐藏］",
    "phone": "［电话已隐藏］",
    "name": "［姓名已隐藏］",
}
# Where two overlap, the earlier one names the whole.
_PRECEDENCE: Final = {kind: place for place, kind in enumerate(MARKS)}
# A comma joins no digits: what stood left and right of it cannot become a number.
_NOTHING: Final = "，"
# What is hidden uncovers at most what leaned on it, so that the second round finds something at times, and a
# third hardly ever; whatever goes on longer was made to cost time.
_ROUNDS: Final = 8

# ---------------------------------------------------------------- whether to look at all

# Each begins with a set of characters, which is what makes a search quick.
_HINTS: Final = tuple(
    map(
        re.compile,
        (
            "[@＠﹫#＃Ａ-Ｚａ-ｚ]",
            r"\d(?:[^\w\n]{0,3}_?\d){4}",
            "[联对经接咨收洽姓微薇威艾][系络接办洽询件谈名信特](?:人|(?<=[名信特]))",
            "[vVwW](?:[xX信]|[eE](?:[cC][hH]|[iI][xX]))",
            r"[ (（\[{【][aA][tT][ )）\]}】]",
            f"[1{HAN_DIGITS}](?:[ -]?[{HAN_DIGITS}]){{6}}|[1一幺][3-9三四五六七八九][0-9{HAN_DIGITS}]{{9}}",
        ),
    )
)
_MAIL_SIGNS: Final = ("@", "#", "艾特", " at ", "(at)", "[at]", "{at}", "【at】")
_WECHAT_SIGNS: Final = ("微信", "薇信", "威信", "v信", "wechat", "weixin", "vx", "wx")
_QQ_SIGNS: Final = ("qq", "扣扣", "企鹅", "q号", "q群", "q:")

# ---------------------------------------------------------------- telephone numbers

# Between two groups of a number's digits; a line end or a comma would join numbers of their own.
_GAP: Final = r"[ \t\-.·_/()]{0,3}"
_COUNTRY: Final = r"\(?(?:\+|00)?[ ]?86\)?[ \-]{0,2}"
_MOBILE: Final = re.compile(rf"(?<![0-9])\(?(?:{_COUNTRY}|0-?)?(\(?1{_GAP}[3-9](?:{_GAP}[0-9]){{9}})(?![0-9])")
_AREA: Final = r"(?:10|2[0-9]|[3-9][0-9]{2})"
_LOCAL: Final = r"[1-9](?:[0-9]{7}|[0-9]{6}|[0-9]{3}[ \-.][0-9]{3,4}|[0-9]{2}[ \-.][0-9]{4})(?![0-9])"
_EXTENSION: Final = r"(?: ?(?:-|转|ext\.?|x|分机号?:?|#) ?[0-9]{1,6}(?![0-9]))?"
_FURTHER: Final = (
    r"(?: ?[/、,;~至或和] ?[1-9](?:[0-9]{7}|[0-9]{6}|[0-9]{2,3}[ \-][0-9]{4})(?![0-9])|/[0-9]{1,4}(?![0-9.年月日]))*"
)
_LANDLINE: Final = re.compile(
    rf"(?<![0-9])(?:{_COUNTRY}\(?0?|\(?0)\)?{_AREA}[ \t\-.·_/()]{{0,3}}{_LOCAL}{_EXTENSION}{_FURTHER}"
)
_HOTLINE: Final = re.compile(r"(?<![0-9])[48]00(?:[ \-]{0,2}[0-9]){7}(?![0-9])" + _EXTENSION)
_ABROAD: Final = re.compile(r"(?<![0-9])\(?(?:\+|00)\(?(?:852|853|886)\)?(?:[ \-]{0,2}[0-9]){8,9}(?![0-9])")
_PHONE_LABEL: Final = (
    r"(?:电话|手机|联系方式|联系|致电|拨打|来电|热线|座机|固话|传真|总机|[☎📞📱℡]"
    r"|(?<![a-z])(?:tele?phone|phone|tel|mobile|mob|cell|fax|[tm](?=:)))"
)
_FILLER: Final = r"(?:号码|号|是|为|no\.?|[:. \t]|\([^()0-9\n]{1,10}\)){0,6}"
_LABEL_BEFORE: Final = re.compile(rf"{_PHONE_LABEL}{_FILLER}(?=[(+]{{0,3}}$)")
# Behind a label a number may be parted in any way, and lack its area.
_LABELLED: Final = re.compile(
    r"[(]?(?:1[3-9]|1(?=[^0-9]))(?:[ \t\-.·_/(),、]{0,3}[0-9]){9,10}(?![0-9])"
    r"|\(?\+\(?[0-9](?:[ \-.()]{0,2}[0-9]){6,14}(?![0-9])"
    rf"|\(?0{_AREA}[ \t\-.·_/()]{{0,3}}[0-9](?:[ \-.]?[0-9]){{4,7}}(?![0-9]){_EXTENSION}{_FURTHER}"
    rf"|{_LOCAL}{_EXTENSION}{_FURTHER}"
)
# Numbers with such a name before them, or in a list that begins with it, are no telephone's.
_OTHER_NUMBER_BEFORE: Final = re.compile(
    r"(?:批号|批次|批|编号|货号|序号|序列号|订单号?|单号|申请号|专利号?|公开号|公告号|授权号|登记号|证书号?|注册号|许可证号?"
    r"|文号|标准号|账号|帐号|代码|条码|编码|条形码|型号|图号|料号|件号|合同号?|项目号|案卷号|档案号|学号|工号|发票号?|版本号?"
    r"|(?<![a-z])(?:isbn|issn|cas|lot|batch|no|sn|s/n|zl|cn)\.?)"
    r"[:. #是为]{0,3}(?:[0-9a-z.\-]{5,24}[ 、,;/和及至~\-]{1,3}){0,8}$"
)
_PART_OF_CODE: Final = re.compile(
    r"[a-z]{2,}[\-_]?$|[0-9][a-z][\-_]?$|[$¥€£]$|10\.[0-9]{4,9}/[^\s]{0,40}$|https?://[^\s]{0,60}$|(?<![0-9])(?:0|[0-9]{3,})\.$"
)
_LATIN_LABEL: Final = re.compile(
    r"(?:tel|phone|mobile|mob|cell|fax|ph|hp|wechat|weixin|vx|wx|qq|whatsapp|call|me)[\-_]?$"
)
_COUNTED: Final = re.compile(
    r"\.[0-9]|[%‰℃°]| ?(?:[万亿]|元|美元|人民币|吨|千克|公斤|[km]?g(?![a-z])|t(?![a-z])|[kmcnμ]?m(?![a-z])"
    r"|[kmg]?w(?![a-z])|[kmg]?hz|[个条次件株头只台套亩]|cfu|cell|cop|拷贝|年(?!龄)|[a-z](?![a-z]))"
)
_LOOK_BACK: Final = 90
# What may hold a telephone number: seven digits and what parts them.
_RUN: Final = re.compile(r"[0-9](?:[ \t\-.·_/(),、]{0,3}[0-9]){6,}")
_BEFORE_RUN: Final = 3
_BEHIND_RUN: Final = 16
_DIGITS: Final = re.compile("[0-9]+")
_BETWEEN: Final = re.compile("[^0-9()]+")

# ---------------------------------------------------------------- the rest

_AT: Final = re.compile(r" {0,2}(?:@|[\[({【]at[\])}】]|艾特) {0,2}| at |#")
_TOP: Final = r"(?:com|cn|net|org|edu|gov|ac|cc|info|biz|vip|top|tech)"
_DOT: Final = r"(?: ?[.。] ?|[\[(]dot[\])]| dot )"
_DOMAIN: Final = re.compile(
    r"(?:[a-z0-9\-]{1,63}\.){1,5}[a-z]{2,24}(?![a-z0-9\-])(?:\.[a-z]{2,3}(?![a-z0-9\-]))?"
    rf"|(?:[a-z0-9\-]{{1,63}}{_DOT}){{1,4}}{_TOP}(?![a-z])"
    r"|(?:qq|163|126|139|189|sina|sohu|gmail|hotmail|outlook|foxmail|yeah|aliyun|yahoo|icloud)(?:com)?(?![a-z0-9.])"
)
_KNOWN_DOMAIN: Final = re.compile(rf"(?!www)(?:[a-z0-9\-]{{1,63}}{_DOT}){{1,4}}{_TOP}(?![a-z0-9/])")
_LOCAL_PART: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.+-%'")
_LONGEST_LOCAL_PART: Final = 64
_QQ: Final = re.compile(
    r"(?<![a-z])(?:qq|扣扣|企鹅|q(?=[号群:]))(?:号码|号|群|技术|交流|微信|是|为|[:/ \t&\-]|\([^()0-9\n]{1,8}\)){0,6}"
    r"([1-9](?:[ \-]?[0-9]){4,10}(?![0-9]))"
)
_WECHAT: Final = re.compile(
    r"(?:微信|薇信|威信|v信|(?<![a-z])(?:wechat|weixin|vx|wx))"
    r"((?:公众号|号码|账号|帐号|号|id|同步|同|手机|电话|qq|是|为|[:/ \t&\-]|\([^()0-9\n]{1,8}\)){0,6})"
    r"([a-z][a-z0-9_\-]{5,19}|[1-9][0-9]{4,10})(?![a-z0-9_@])"
)
_INTRODUCED: Final = re.compile(r"[:号是为]|id")
_TELLING: Final = re.compile(r"[0-9_]")
_ASKED_TO_ADD: Final = re.compile(r"[加+]$")
_IDENTITY: Final = re.compile(
    r"(?<![0-9a-z])[1-68][0-9]{5}[ \-]?(?:18|19|20)[0-9]{2}[ \-]?(?:0[1-9]|1[0-2])[ \-]?(?:0[1-9]|[12][0-9]|3[01])"
    r"[ \-]?[0-9]{3}[0-9x](?![0-9a-z])"
)
_OLD_IDENTITY: Final = re.compile(r"(?:身份证|证件)(?:号码|号)?[: ]{0,3}([1-8][0-9]{14})(?![0-9])")


def masked(text: str) -> str:
    """Hide personal data behind short marks such as ［电话已隐藏］, for showing a text to others.

    Takes any text, raw or normalised, in linear time; what is hidden already stays as it is.
    """
    return _hidden(text, MARKS)


def purged(text: str) -> str:
    """Take personal data out, for texts that are embedded and indexed: a mark would be found by its words."""
    return _hidden(text, dict.fromkeys(MARKS, _NOTHING))


def personal_data(text: str) -> list[Span]:
    """Where personal data stand and of which kind, a key of `MARKS`; in order, none over another."""
    return _merged(_found(Shadow.of(text))) if _worth_looking(text) else []


def _hidden(text: str, marks: dict[str, str]) -> str:
    for _ in range(_ROUNDS):
        spans = personal_data(text)
        if not spans:
            return text
        pieces: list[str] = []
        end = 0
        for start, stop, kind in spans:
            pieces += (text[end:start], marks[kind])
            end = stop
        text = "".join(pieces) + text[end:]
    return text


def _worth_looking(text: str) -> bool:
    """Most technical text holds nothing that any pattern begins with; telling so costs a small part of looking."""
    return any(hint.search(text) for hint in _HINTS)


def _found(shadow: Shadow) -> Iterator[Span]:
    """Places in the original text, in no order, that may overlap."""
    text = shadow.text
    numbers = [*_mails(text), *_numbers(text)]
    for span in (*numbers, *_accounts(text), *labelled_names(text), *beside_number(text, numbers)):
        yield Span(*shadow.place(span.start, span.stop), span.kind)


def _merged(spans: Iterator[Span]) -> list[Span]:
    """Spans in order, overlapping ones joined under the name that goes first."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start < merged[-1].stop:
            last = merged[-1]
            kind = min(last.kind, span.kind, key=_PRECEDENCE.__getitem__)
            merged[-1] = Span(last.start, max(last.stop, span.stop), kind)
        else:
            merged.append(span)
    return merged


def _numbers(text: str) -> Iterator[Span]:
    """Telephone numbers and those of identity cards."""
    for run in _RUN.finditer(text):
        # What belongs to a number and is no digit: +( before it, 转 or ext. behind it.
        start, stop = max(0, run.start() - _BEFORE_RUN), run.end() + _BEHIND_RUN
        label = _LABEL_BEFORE.search(text, max(0, run.start() - _LOOK_BACK), run.start())
        if label and (found := _LABELLED.match(text, label.end())):
            yield Span(*found.span(), "phone")
        if found := _OLD_IDENTITY.search(text, max(0, run.start() - _LOOK_BACK), run.end()):
            yield Span(*found.span(1), "identity")
        for found in _IDENTITY.finditer(text, start, stop):
            yield Span(*found.span(), "identity")
        for pattern in (_MOBILE, _LANDLINE, _HOTLINE, _ABROAD):
            for found in pattern.finditer(text, start, stop):
                if _is_phone(text, found):
                    yield Span(*found.span(), "phone")


def _is_phone(text: str, found: re.Match[str]) -> bool:
    """Whether what looks like a telephone number is one, by how it is parted and by what stands beside it."""
    start = max(0, found.start() - _LOOK_BACK)
    if _LABEL_BEFORE.search(text, start, found.start()):
        return True
    if found.re is _MOBILE and not _grouped(found[1]):
        return False
    if found.re is _HOTLINE and _round(_DIGITS.findall(found[0])):
        return False
    return _no_other_number(text, text[start : found.start()], found)


def _no_other_number(text: str, before: str, found: re.Match[str]) -> bool:
    """Whether nothing beside a number says that it counts, measures or names a thing."""
    if _COUNTED.match(text, found.end()):
        return False
    if _PART_OF_CODE.search(before) and not _LATIN_LABEL.search(before):
        return False
    return not _OTHER_NUMBER_BEFORE.search(before)


def _grouped(number: str) -> bool:
    """Whether eleven digits are parted as people part a telephone number, and not as a list of numbers is."""
    groups = _DIGITS.findall(number)
    lengths = [len(group) for group in groups]
    if len(groups) in (1, 11):
        return True
    gaps = {gap.strip() or " " for gap in _BETWEEN.findall(number)}
    if _round(groups) or len(gaps) > 1:
        return False
    if len(groups) == 2:
        return lengths in ([3, 8], [7, 4]) and "." not in gaps
    if "." in gaps:
        return lengths in ([3, 4, 4], [4, 3, 4], [4, 4, 3], [3, 3, 5])
    return lengths == [1, 3, 3, 4] or (lengths[0] >= 3 and min(lengths) > 1 and len(groups) < 6)


def _round(groups: Sequence[str]) -> bool:
    """Whether groups of digits are quantities such as 150 2000 3000."""
    return all(group[0] != "0" and int(group) % 50 == 0 for group in groups)


def _mails(text: str) -> Iterator[Span]:
    if not any(sign in text for sign in _MAIL_SIGNS):
        return
    for sign in _AT.finditer(text):
        plain = "@" in sign[0] or sign[0].strip() not in ("at", "#")
        domain = (_DOMAIN if plain else _KNOWN_DOMAIN).match(text, sign.end())
        if not domain:
            continue
        start = sign.start()
        earliest = max(0, start - _LONGEST_LOCAL_PART)
        while start > earliest and text[start - 1] in _LOCAL_PART:
            start -= 1
        if start == sign.start():
            # 张三 at 163.com: a name stands for the part before the sign.
            earliest = max(0, start - 3)
            while start > earliest and "\u4e00" <= text[start - 1] <= "\u9fff":
                start -= 1
        if start < sign.start() or plain:
            yield Span(start, domain.end(), "mail")


def _accounts(text: str) -> Iterator[Span]:
    if any(sign in text for sign in _QQ_SIGNS):
        for found in _QQ.finditer(text):
            yield Span(*found.span(1), "qq")
    if any(sign in text for sign in _WECHAT_SIGNS):
        for found in _WECHAT.finditer(text):
            asked = _ASKED_TO_ADD.search(text, max(0, found.start() - 1), found.start())
            if _INTRODUCED.search(found[1]) or _TELLING.search(found[2]) or asked:
                yield Span(*found.span(2), "wechat")
