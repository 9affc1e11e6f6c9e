"""What mails say, in both their forms, whatever their records hold."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matcher.briefs import Brief, BriefItem, BriefSection
from matcher.letter_texts import confirmation_letter, digest_letter, news_letter
from matcher.letters import Letter
from matcher.links import is_signed, person_page, record_link, signature, unsubscribe_page
from matcher.normal import clean
from matcher.records import Achievement, Institution, Need, Patent, Record
from matcher.redaction import shown
from matcher.rows import StoredRecord
from matcher.subscribers import Subscriber, Subscription
from matcher.visibility import PUBLIC, Viewer
from matcher.why_sentence import QUOTED, why_sentence

BASE = "https://match.example/tech"
SENDER = "科技成果匹配平台"
DAY = "2026-11-23"
READER = Subscriber(1, "sbr-1", "li@corp.example", "t" * 43, True, "2026-11-01T00:00:00+00:00", None, None, 0)
# Mail programs cut off what is longer.
CLIPPED = 102_400
HOSTILE = [
    "</a></td></table><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' style='position:fixed",
    # What `clean` takes for text: no tag that people's documents hold.
    "<svg onload=alert(1)>",
    "<x y='",
    "若a<b",
    "{{ 7 * 7 }}{% raw %}",
    "<!--[if mso]><b>",
    "&lt;img src=x&gt;",
    "\u202egnp.exe\u202c\x00\x1b[31m\r\nBcc: a@b.test\u2028",
    "مضخة حرارية \u200fللتجفيف",
    "长" * 500,
]


def stored(record: Record, owner: int = 0, **tags: float) -> StoredRecord:
    institution = "org-1" if record.institution else None
    return StoredRecord(1, record.id, record, institution, owner, 9999_12_31, False, 1, False, tags)


def offer(number: int = 1, title: str = "热泵烘干工艺", **values: Any) -> StoredRecord:
    return stored(Achievement(source="s", source_id=str(number), title=title, **values), food=0.9, agriculture=0.4)


def need(number: int = 1, owner: int = 0, **values: Any) -> StoredRecord:
    fields = {"title": "银耳烘干节能", "budget": "80-150万元", "deadline": "2027-06-30", **values}
    return stored(Need(source="s", source_id=str(number), **fields), owner)


def follows(how: str = "text", **values: Any) -> Subscription:
    return replace(SUBSCRIPTION, follows=how, **values)


SUBSCRIPTION = Subscription(
    key=1,
    id="sub-1",
    subscriber=1,
    account=0,
    follows="text",
    subject=None,
    title="",
    text="银耳热泵烘干",
    kinds=(),
    programmes=(),
    regions=(),
    min_level=3,
    frequency="daily",
    created_at="2026-11-01T00:00:00+00:00",
    confirmed_at="2026-11-01T00:00:00+00:00",
    ended_at=None,
    matched_revision=None,
    matched_with=None,
    matched_on=None,
)


def item(found: StoredRecord, level: int = 3, before: int | None = None, **values: Any) -> BriefItem:
    fields: dict[str, Any] = {
        "asking": None,
        "terms": ("热泵", "烘干"),
        "passage": "热泵烘干银耳，节能四成。",
        **values,
    }
    return BriefItem(found=found, level=level, level_before=before, **fields)


def digest(*items: BriefItem, subject: StoredRecord | None = None, omitted: int = 0, **how: Any) -> Letter:
    section = BriefSection(follows(**how), subject, items, omitted)
    return digest_letter(Brief(READER, DAY, (section,)), BASE, SENDER)


class _Reader(HTMLParser):
    """What a mail program makes of a letter: its elements, its links, its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self._hidden = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        named = dict(attrs)
        if tag == "a":
            self.links.append(named["href"] or "")
        self.addresses += [named[name] or "" for name in ("src", "background", "action", "data") if name in named]
        self._hidden += tag in ("style", "title")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join("".join(self.words).split())


# ------------------------------------------------------------ what a digest says


def test_a_digest_says_of_each_match_what_somebody_needs_to_decide() -> None:
    asking = offer(7, title="我们的烘房")
    found = need(institution="通江县雾里菌品有限公司", province="四川省", city="巴中市")
    letter = digest(
        item(found, 4, 3, asking=asking),
        how="own",
        programmes=("food",),
        regions=("5119",),
    )
    for told in (letter.text, _Reader(letter.html).text):
        plain = "".join(told.split())
        for words in (
            "您账号名下全部记录的匹配",
            "您订阅了这些匹配：每天，关联度3级（较强相关）以上；专项限食品饮料；地区限四川省巴中市。",
            "强相关",
            "关联度由较强相关升为强相关",
            "银耳烘干节能",
            "技术需求·通江县雾里菌品有限公司·四川省巴中市",
            "预算：80-150万元",
            "截止：2027年6月30日",
            "适合您的《我们的烘房》",
            "共同涉及“热泵”“烘干”；原文：“热泵烘干银耳，节能四成”。",
            "管理订阅",
            "一键退订",
            "改收非个性化资讯",
        ):
            assert words in plain, words
    assert letter.subject == "技术匹配简报：1 项关联度上升（11月23日）"
    assert letter.to == READER.email
    assert letter.unsubscribe == f"{BASE}/mail/{READER.token}/unsubscribe"
    assert 'lang="zh-CN"' in letter.html


def test_the_subject_counts_and_names_nothing() -> None:
    secret = need(title="云芝漆酶浓缩", visibility="private", owner=7)
    letter = digest(item(offer()), item(offer(2), 4, 3), item(offer(3), 2), how="record", subject=secret)
    assert letter.subject == "技术匹配简报：2 项新匹配，1 项关联度上升（11月23日）"
    # What a locked telephone shows beside the subject.
    preheader = re.search(r'<div style="display:none[^>]*>([^<]*)<', letter.html)
    assert preheader
    assert "强相关 1 项、较强相关 1 项、弱相关 1 项" in preheader[1]
    assert "云芝" not in preheader[1]
    assert "云芝漆酶浓缩" in letter.html  # his own need, further down


def test_both_forms_hold_the_same_matches_with_the_same_links() -> None:
    letter = digest(*(item(offer(number, f"成果{number}号"), 2 + number % 3) for number in range(60)), omitted=4)
    linked = [link for link in _Reader(letter.html).links if "/records/" in link]
    assert linked == re.findall(r"https://\S+/records/\S+", letter.text)
    assert len(set(linked)) == 60
    titles = re.findall(r"成果\d+号", letter.text)
    assert titles == re.findall(r"成果\d+号", _Reader(letter.html).text)
    assert "另有 4 项匹配" in letter.text
    assert "另有 4 项匹配" in letter.html


def test_a_full_mail_is_shown_whole_by_programs_that_cut_long_ones_off() -> None:
    passage = "鲜银耳先在三十八度大风量定型，再升至四十八度排湿，" * 6
    found = [
        offer(n, f"第{n}项" + "分段变温热泵烘干" * 3, institution="蜀北农林大学", province="四川省") for n in range(60)
    ]
    assert len(digest(*(item(one, passage=passage) for one in found)).html.encode()) < CLIPPED


def test_nothing_is_fetched_when_a_mail_is_read() -> None:
    letters = [
        digest(item(offer(url="https://elsewhere.example/"))),
        news_letter(Brief(READER, DAY, news=(offer(),)), BASE, SENDER),
        confirmation_letter(READER, [SUBSCRIPTION], BASE, SENDER),
    ]
    for letter in letters:
        read = _Reader(letter.html)
        assert read.addresses == []
        assert all(link.startswith(f"{BASE}/") for link in read.links)
        assert not {"img", "script", "link", "iframe", "form", "video", "object"} & {tag for tag, _ in read.elements}
        assert not re.search(r"url\(|@import|@font-face|expression\(", letter.html)


def test_what_is_hidden_from_the_reader_is_nowhere() -> None:
    secret = need(
        7, owner=9, title="雾里云芝公司的漆酶浓缩", institution="雾里云芝生物有限公司", visibility="intermediaries"
    )
    found = shown(secret, Viewer("intermediary", 3))
    letter = digest(item(found), item(offer(institution=None)))
    for form in (letter.text, letter.html):
        assert "雾里云芝" not in form
        assert "单位未公开" in form
        assert "单位不详" in form


@pytest.mark.parametrize(
    ("how", "subject", "told"),
    [
        ({"how": "record", "subject": "need-abc"}, None, "技术需求（编号 need-abc）的匹配"),
        ({"how": "institution", "subject": "org-abc"}, None, "机构（编号 org-abc）全部成果和专利的匹配"),
        ({"how": "text"}, None, "“银耳热泵烘干”的匹配"),
        ({"how": "text", "title": "烘干"}, None, "“烘干”的匹配"),
        ({"how": "own"}, None, "您账号名下全部记录的匹配"),
    ],
)
def test_what_is_followed_is_told_by_number_where_its_title_may_not_be_seen(
    how: dict[str, Any], subject: StoredRecord | None, told: str
) -> None:
    values = dict(how)
    section = BriefSection(follows(values.pop("how"), **values), subject, (item(offer()),))
    letter = digest_letter(Brief(READER, DAY, (section,)), BASE, SENDER)
    assert told in letter.text
    assert told in letter.html


def test_an_institution_is_followed_by_its_name() -> None:
    university = stored(Institution(source="s", source_id="1", title="蜀北农林大学", type="高等院校"))
    section = BriefSection(follows("institution", subject=university.id), university, (item(need()),))
    letter = digest_letter(Brief(READER, DAY, (section,)), BASE, SENDER)
    assert "蜀北农林大学全部成果和专利的匹配" in letter.text


def test_a_record_without_text_is_not_quoted_with_its_own_title() -> None:
    bare = stored(Patent(source="s", source_id="1", title="一种烘房"))
    letter = digest(item(bare, passage="一种烘房", terms=()))
    assert letter.text.count("一种烘房") == 1
    assert "全文内容相近。" in letter.text


# ------------------------------------------------------------ whatever records hold


def _everything(text: str) -> list[Letter]:
    """Letters whose every free field is one text."""
    fields = {"abstract": text, "institution": text or None, "province": text or None}
    found = [offer(1, text, **fields), need(2, title=text, budget=text or None, **fields)]
    items = tuple(item(one, 4, 3, asking=found[0], terms=(text, "热泵"), passage=text) for one in found)
    sections = (
        BriefSection(follows("text", text=text, title=text), None, items),
        BriefSection(follows("record", subject=found[1].id), found[1], items),
    )
    return [
        digest_letter(Brief(READER, DAY, sections), BASE, SENDER),
        news_letter(Brief(READER, DAY, news=(found[0],)), BASE, SENDER),
        confirmation_letter(READER, [follows("text", text=text, title=text)], BASE, SENDER, {0: text}),
    ]


def _with_examples(test: Any) -> Any:
    for text in HOSTILE:
        test = example(text)(test)
    return test


# What a mail is made of does not depend on what its records say.
PLAIN = "银耳烘干"


@_with_examples
@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60) | st.text("<>&\"'/=!-; svgx字", max_size=40))
def test_no_text_breaks_out_of_its_place(text: str) -> None:
    # Empty ones leave their line out, and so do those without a word.
    if not any(c.isalpha() for c in clean(text)):
        text = f"{text}字"
    for letter, plain in zip(_everything(text), _everything(PLAIN), strict=True):
        assert _Reader(letter.html).elements == _Reader(plain.html).elements
        assert len(_Reader(letter.html).links) == len(_Reader(plain.html).links)
        assert letter.text.count("\n") == plain.text.count("\n")
        assert letter.subject == plain.subject
        for form in (letter.text, letter.subject):
            odd = [c for c in form if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\n"]
            assert not odd, odd


def test_the_text_form_is_written_as_people_write() -> None:
    for letter in _everything("R&D：a<b且<5 mg的“烘干”"):
        assert "R&D：a<b且<5 mg" in letter.text
        assert not re.search(r"&#?\w+;|</?[a-z]+[\s>]|style=", letter.text)
        assert "R&amp;D：a&lt;b且&lt;5 mg" in letter.html


# ------------------------------------------------------------ news


def test_news_are_the_same_for_everybody_and_say_so() -> None:
    news = tuple(offer(n, f"成果{n}号", abstract="热泵代替燃煤。节能四成。") for n in range(3))
    other = replace(READER, id="sbr-2", email="wang@corp.example", token="u" * 43)
    letters = [news_letter(Brief(one, DAY, news=news), BASE, SENDER) for one in (READER, other)]
    said = [re.sub(r"https://\S+", "", letter.text) for letter in letters]
    assert said[0] == said[1]
    assert "没有根据您的订阅挑选" in said[0]
    assert "改收个性化匹配" in said[0]
    assert "热泵代替燃煤" in said[0]
    assert not re.search("强相关|弱相关|共同涉及", letters[0].html)
    assert letters[0].subject == "科技成果资讯：3 项最新成果和专利（11月23日）"
    assert letters[0].unsubscribe == unsubscribe_page(BASE, READER)


# ------------------------------------------------------------ the question


def test_the_question_says_who_asked_for_what_and_that_silence_is_enough() -> None:
    waiting = [follows("record", subject="need-abc", account=5), follows("text", account=5)]
    letter = confirmation_letter(READER, waiting, BASE, SENDER, {5: "通江县农业局"})
    read = _Reader(letter.html)
    for told in ("".join(letter.text.split()), read.text):
        for words in (
            "科技成果匹配平台的账号“通江县农业局”用这个邮箱申请订阅：",
            "技术需求（编号need-abc）的匹配",
            "“银耳热泵烘干”的匹配",
            "7天内",
            "不确认就不会收到任何简报",
        ):
            assert words in told, words
    assert set(read.links) == {person_page(BASE, READER)}
    assert letter.unsubscribe is None
    assert letter.subject == "请确认订阅技术匹配简报"
    assert "有人在科技成果匹配平台用这个邮箱申请订阅" in confirmation_letter(READER, waiting, BASE, SENDER).text


@pytest.mark.parametrize(
    "advertisement",
    [
        "中奖了请看 https://evil.example/win?a=1 领取",
        "请看www.evil.example领取",
        "请看evil.example/win领取",
        "加微信 evil_wx_2026 领取，电话13900001111",
        "写信 evil@evil.example",
    ],
)
def test_strangers_cannot_send_their_links_and_numbers_through_the_question(advertisement: str) -> None:
    letter = confirmation_letter(READER, [follows("text", text=advertisement)], BASE, SENDER)
    for form in (letter.text, letter.html):
        assert "evil" not in form
        assert "13900001111" not in form


# ------------------------------------------------------------ links


def test_a_link_opens_one_record_to_one_person() -> None:
    other = replace(READER, token="u" * 43)
    made = signature(READER, "need-a")
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert record_link(BASE, READER, "need-a") == f"{BASE}/records/need-a?s=sbr-1&k={made}"
    assert is_signed(READER, "need-a", made)
    for subscriber, record, given_ in [
        (READER, "need-b", made),
        (other, "need-a", made),
        (READER, "need-a", made[:-1]),
        (READER, "need-a", ""),
        (READER, "need-a", "é\udc80"),
    ]:
        assert not is_signed(subscriber, record, given_)


# ------------------------------------------------------------ why


@pytest.mark.parametrize(
    ("terms", "passage", "said"),
    [
        (("热泵", "烘干"), "热泵烘干，节能四成。", "共同涉及“热泵”“烘干”；原文：“热泵烘干，节能四成”。"),
        (("8%", "0.3", "含油率"), "②含油率不高于8%；", "共同涉及“含油率”；原文：“含油率不高于8%”。"),
        (("亚麻酸", "tbhq"), "不添加TBHQ", "共同涉及“TBHQ”“亚麻酸”；原文：“不添加TBHQ”。"),
        (("甲", "乙", "丙", "丁", "戊"), "", "共同涉及“甲”“乙”“丙”“丁”。"),
        ((), "把“熬”与“杀”合起来算。", "全文内容相近；原文：“把‘熬’与‘杀’合起来算”。"),
        ((), "", "全文内容相近。"),
    ],
)
def test_why_reads_like_a_sentence(terms: tuple[str, ...], passage: str, said: str) -> None:
    assert why_sentence(terms, passage) == said


def test_a_long_passage_is_cut() -> None:
    said = why_sentence((), "长" * 500)
    assert said == f"全文内容相近；原文：“{'长' * (QUOTED - 1)}…”。"


def test_names_that_everybody_may_see_are_seen() -> None:
    open_need = need(3, institution="通江县雾里菌品有限公司", owner=4)
    assert "通江县雾里菌品有限公司" in digest(item(shown(open_need, PUBLIC))).text
