"""Names of contact persons in a text: after a label, or right before a telephone number or mail address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from matcher.shadow import Span

_SURNAMES: Final = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔"
    "钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢"
    "安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路"
    "游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全"
    "佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝官封谈匡鞠惠荆乐冀胥南班储原栗燕楚鄢"
)
_DOUBLE_SURNAMES: Final = "欧阳|上官|司马|诸葛|司徒|东方|独孤|南宫|夏侯|皇甫|尉迟|令狐|慕容|长孙|宇文|公孙|端木|轩辕"
_TITLE: Final = (
    "先生|女士|小姐|同志|师傅|老师|教授|博士|研究员|工程师|总工|高工|总经理|副总|经理|总监|主任|主管|助理|秘书|专员"
    "|董事长|董事|总裁|厂长|所长|院长|校长|处长|科长|部长|局长|书记|会长|站长|队长|组长|店长|总|工|董|姐|哥"
)
_SURNAME: Final = f"(?:{_DOUBLE_SURNAMES}|[{_SURNAMES}])"
# What is written in place of a name, and words that begin like one.
_NO_NAMES: Final = re.compile(
    "同上|略|无|详见|见附件|附件|暂无|待定|保密|不详|未提供|本人|列表|信息|管理|方式|电话|名单|时间|关系|通讯|确认|情况|单位|项目"
    "|金额|平时|白天|全天|周一|应急|成都|广东|江苏|安徽|温州|宁波|常州|云南|江西|成功|高速|温度|时长|和|于|全国|全文|万方|单价"
    "|双方|甲方|乙方|对方|我方|华为|平台|系统|人员|公司|总部|总机|官网|官方|农业|金融|明确|路由|连接|管道|关键|原文|解决|安全|查询"
)
_HAN: Final = r"\u4e00-\u9fff"
NAME_SIGNS: Final = ("联系人", "联络人", "对接人", "经办人", "接洽人", "咨询人", "收件人", "洽谈人", "姓名")
_LABEL: Final = re.compile(
    rf"(?:{'|'.join(NAME_SIGNS[:-1])})(?:姓名|名称)?(?:\([^()\n]{{1,8}}\))?([:=]|[ \t]|为|是|)[: \t]{{0,3}}"
    r"|姓名(:) {0,2}"
)
_VALUE: Final = re.compile(rf"[{_HAN}·]{{1,24}}")
# After a name without a blank between.
_NEXT_WORD: Final = re.compile(
    "电话|手机|联系|邮箱|电邮|邮件|职务|职位|职称|部门|地址|传真|微信|座机|固话|单位|身份|性别|年龄|日期|时间|号码|及"
)
_TITLED: Final = re.compile(rf"[{_HAN}]{{1,12}}?(?:{_TITLE})")
_NAMED: Final = re.compile(rf"(?:{_DOUBLE_SURNAMES})[{_HAN}]{{1,2}}|[{_SURNAMES}][{_HAN}]{{1,2}}")
_PARTED: Final = re.compile(rf"(?:{_DOUBLE_SURNAMES}|[{_SURNAMES}])(?: {{1,2}}[{_HAN}]){{1,2}}(?![{_HAN}])")
_HALF_HIDDEN: Final = re.compile(rf"{_SURNAME}[{_HAN}]?[*x某]{{1,3}}")
_LATIN: Final = re.compile(
    r"(?!tele?phone|tel|phone|mobile|mail|e-mail|fax|qq|wechat)[a-z][a-z'\-]{1,20}(?:[ .]{1,2}[a-z][a-z'\-]{1,20}){0,2}"
)
_ANOTHER: Final = re.compile(rf" ?[、,/和及] ?(?={_SURNAME})| (?={_SURNAME}[{_HAN}]{{1,2}}(?![{_HAN}]))")
_BESIDE: Final = re.compile(
    rf"(?:(?<![{_HAN}])|(?<=联系)|(?<=[找或和与及])|(?<=咨询)|(?<=致电)|(?<=系人))"
    rf"({_SURNAME}[{_HAN}]{{0,2}}?(?:{_TITLE})|{_SURNAME}[{_HAN}]{{1,2}})"
    r"[ \t:(,、\-]{0,3}(?:(?:的|手机|电话|邮箱|tel|mail)[: ]{0,2}){0,2}$"
)
_BEHIND: Final = re.compile(
    rf"[ \t(]{{1,2}}({_SURNAME}[{_HAN}]{{0,2}}?(?:{_TITLE})|{_SURNAME}[{_HAN}]{{1,2}})(?![{_HAN}])"
)
_LOOK_BACK: Final = 24


def labelled_names(text: str) -> Iterator[Span]:
    """Names after 联系人 and its like.

    :param text: in the form of `Shadow`.
    """
    if not any(sign in text for sign in NAME_SIGNS):
        return
    for label in _LABEL.finditer(text):
        start = label.end()
        stop = _name_end(text, start, firm=bool(label[1] or label[2]))
        while stop:
            yield Span(start, stop, "name")
            another = _ANOTHER.match(text, stop)
            start = another.end() if another else stop
            stop = _name_end(text, start, firm=False) if another else 0


def beside_number(text: str, numbers: Iterable[Span]) -> Iterator[Span]:
    """Names right before and behind what reaches a person.

    :param text: in the form of `Shadow`.
    """
    for number in numbers:
        earliest = max(0, number.start - _LOOK_BACK)
        found = _BESIDE.search(text[earliest : number.start])
        if found and not _NO_NAMES.match(found[1]):
            yield Span(earliest + found.start(1), earliest + found.end(1), "name")
        found = _BEHIND.match(text, number.stop)
        if found and not _NO_NAMES.match(found[1]):
            yield Span(*found.span(1), "name")


def _name_end(text: str, start: int, firm: bool) -> int:
    """One past a name that begins at `start`; 0 where none does.

    :param firm: whether a sign says that a name follows, so that it need not look like one.
    """
    for pattern in (_HALF_HIDDEN, _PARTED):
        if found := pattern.match(text, start):
            return found.end()
    value = _VALUE.match(text, start)
    if not value:
        latin = _LATIN.match(text, start) if firm else None
        return latin.end() if latin else 0
    run = value[0]
    if following := _NEXT_WORD.search(run):
        run = run[: following.start()]
    if not run or _NO_NAMES.match(run):
        return 0
    titled = _TITLED.match(run)
    named = _NAMED.match(run)
    if titled and (firm or named or len(titled[0]) < 4):
        return start + titled.end()
    if firm:
        # Longer than a name: after one goes on what the person does; without one, it may be anywhere.
        return start + (named.end() if named and len(run) > 4 else len(run))
    return start + len(run) if named and len(run) <= len(named[0]) else 0
