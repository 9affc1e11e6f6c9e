import csv
import subprocess
import sys
import threading
import time
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matcher.normal import _INVISIBLE, _converter
from matcher.text import Tokenizer, char_ngrams, domain_terms, normalize, sentences, shingles

PROGRAMMES = {
    "agriculture",
    "food",
    "biomedicine",
    "energy_materials",
    "machinery",
    "environment",
    "traditional",
}
CORPUS = Path(str(resources.files("corpus")))
# Far above what it takes (some 20 ms), far below what quadratic work on 20,000 characters costs.
SLOW_SECONDS = 2.0


def words_of(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def dictionary() -> set[str]:
    return {term for path in (CORPUS / "dictionary").glob("*.txt") for term in words_of(path)}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.default()


@pytest.fixture(scope="module")
def pure_python() -> Tokenizer:
    return Tokenizer(dictionary(), words_of(CORPUS / "stopwords.txt"), engine="jieba")


anything = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None))
chinese = st.text(
    st.one_of(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), st.characters(max_codepoint=0x7E))
)
# Pieces that interact: markup, entities, spaces, units, brackets, list numbers, odd characters.
# fmt: off
PIECES = [
    '<p class="x">', "&", ";", "<", ">", "/", "amp", "lt", "gt", "#38", "#x26", "&amp;", "&lt;",
    "&#8203;", "&nbsp;", "<b>", "</b>", "<br>", "＜", "＞", "＆", "a", "b", "m2", "um", "毫克/升", "mg",
    "l", "L-1", "·", "°", "C", "℃", "摄氏度", "1", "2", "3.5", ".", "．", "。", "；", "！", "?", "(", ")",
    "（", "）", "“", "”", "1、", "2、", "①", "②", "(1)", "(2)", "一、", "二、", "²", "½", "㎡", "㎎", "™",
    "乾", "坤", "隆", "承乾宮", "宫", "壞", "坏", "土", "壤", "於", "薴", "噁", "鮈", "PM2.5", "CO2",
    "α-亚麻酸", "苯并[a]芘", "RV减速器", "f-CaO", "氨氮", "水", "的", "啊", "é", "\u0301", "￣", "ﬁ", "Ⅱ",
    "😀", "𠮷", " ", "  ", "\n", "\r\n", "\t", "\u3000", "\u200b", "\ufeff", "\ud800", "\udc00", "\u2028",
    "\x00", "\x1c", "\u00ad",
]
# fmt: on
pieces = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)

HOSTILE = {
    "nested entities": "&amp;" * 4000,
    "entities without end": "&am" * 3000 + "p;" * 6000,
    "open comments": "<!--" * 5000,
    "open tags": '<a x="' * 3400,
    "crossed tags": "<b" * 4000 + ">" * 8000,
    "open brackets": "(" * 20_000,
    "open quotes": "“" * 20_000,
    "spaces": " " * 20_000,
    "one letter": "a" * 20_000,
    "one digit": "1" * 20_000,
    "decimals": "1." * 10_000,
    "list numbers": "1、" * 10_000,
    "units": "mg/" * 7000,
    "one Han character": "中" * 20_000,
    "emoji": "😀" * 20_000,
    "lone surrogates": "\ud800" * 20_000,
    "prose": "本发明公开了一种低温脱硝催化剂的制备方法，脱硝效率92.5%。" * 700,
}


# ---------------------------------------------------------------- normalising


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Ｃ０２１２３％，（ａ）", "C02123%,(a)"),
        ("體積與時間，臺灣", "体积与时间,台湾"),
        ("乾燥機的溫度", "干燥机的温度"),
        ("超临界CO₂萃取", "超临界CO2萃取"),
        ("丹参酮ⅡA", "丹参酮IIA"),
        ("25°C、25℃、25摄氏度、25ºC", "25℃、25℃、25℃、25℃"),
        ("5µm 5um 5μm 5微米", "5μm 5μm 5μm 5μm"),
        ("3㎡、3m2、3m²、3平方米", "3m²、3m²、3m²、3m²"),
        ("5mg/l、5毫克/升", "5mg/L、5mg/L"),
        ("㎎ ㎏ ㎞ ㏄", "mg kg km mL"),
        ("12％", "12%"),
        ("零\u200b宽\ufeff字\u00ad符\x00", "零宽字符"),
        ("半个\ud83d字符\udc00", "半个字符"),
        ("  多 \t 个\u3000空格  ", "多 个 空格"),
        ("一行 \r\n\r\n 二行\u2028三行", "一行\n二行\n三行"),
        ('<p class="a">段一</p><p>段二</p>', "段一\n段二"),
        ("CO<sub>2</sub>与<b>粗体</b>", "CO2与粗体"),
        ("一<br/>二<!-- 注 --><style>p{}</style>", "一\n二"),
        ("A&nbsp;&amp;&nbsp;B", "A & B"),
        ("&lt;b&gt;两次转义&lt;/b&gt;", "两次转义"),
        ("&lt;5 mg", "<5 mg"),
        ("", ""),
        (" \n\t ", ""),
        ("\ud800", ""),
    ],
)
def test_text_has_one_written_form(raw: str, expected: str) -> None:
    assert normalize(raw) == expected


@pytest.mark.parametrize(
    "text",
    [
        "<5 mg",
        "a<b",
        "若a<b且c>d",
        "p<0.05,q>3",
        "a<b and c>d",
        "R&D",
        "AT&T;",
        "10² 10⁶ CFU",
        "①25℃ ②30℃",
        "⒈5",
        "3½",
        "…",
        "品牌™",
        "aluminum M2 CM2",
        "破坏土壤,多重覆盖",
        "第一行\n第二行",
        "氨逃逸<3mg/m³",
        "著名",
        "二噁英与噁唑",
        "棒花鮈",
    ],
)
def test_what_carries_meaning_stays(text: str) -> None:
    assert normalize(text) == text


@settings(deadline=None, max_examples=500)
@given(st.one_of(pieces, anything, chinese))
@example("&am&amp;amp;p;lt;b>")
@example("e\u200b\u0301")
@example("5  um")
@example("毫克/升\u0301")
@example("承乾宮")
@example("&lt;" * 40 + "b>")
@example("&amp;" * 3 + "#38;" * 12 + "lt;")
def test_normalising_again_changes_nothing(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once


def test_every_traditional_character_ends_in_a_form_that_stays() -> None:
    _, traditional = _converter()
    assert len(traditional) > 3000
    text = "，".join(sorted(traditional))
    assert normalize(normalize(text)) == normalize(text)
    changed = [old for old in traditional if normalize(old) == old]
    assert not changed


def test_a_text_nested_too_deeply_loses_its_markup_characters() -> None:
    text = "&amp;"
    for _ in range(12):
        text = text.replace("&", "&#38;").replace(";", "&semi;")
    assert not set(normalize(text)) & set("&<")


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cs"])
def test_no_invisible_character_is_left(category: str) -> None:
    import unicodedata

    # Arabic, Kaithi and Egyptian format characters are visible signs of their scripts.
    visible = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    visible |= {*range(0x13430, 0x13440), *range(0x1BCA0, 0x1BCA4)}
    odd = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == category and code not in visible]
    assert odd
    for char in odd:
        assert char.isspace() or _INVISIBLE.fullmatch(char), hex(ord(char))
        assert normalize(f"水{char}泵") in {"水泵", "水 泵", "水\n泵"}


# ---------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("温度高。压力大！可行吗？是；好", ["温度高。", "压力大！", "可行吗？", "是；", "好"]),
        ("温度高!压力大;完", ["温度高!", "压力大;", "完"]),
        ("第一行\n\n第二行", ["第一行", "第二行"]),
        ("效率1.5倍，损耗0.3%。完", ["效率1.5倍，损耗0.3%。", "完"]),
        ("e.g. 氨氮，i.e. 总氮。完", ["e.g. 氨氮，i.e. 总氮。", "完"]),
        ("参数（温度；压力。流量）不稳。完", ["参数（温度；压力。流量）不稳。", "完"]),
        ("他说：“好。走吧！”然后走了。完", ["他说：“好。走吧！”然后走了。", "完"]),
        ("问：“行吗？”", ["问：“行吗？”"]),
        ("好！？真的。。完", ["好！？", "真的。。", "完"]),
        ("国内领先.已推广", ["国内领先.", "已推广"]),
        ("It works well. The cost falls. See Fig. 3.", ["It works well.", "The cost falls.", "See Fig. 3."]),
        ("Smith et al. Han", ["Smith et al. Han"]),
        ("网址a.cn?x=1;完", ["网址a.cn?x=1;", "完"]),
        ("难题：1、除尘效率低；2、设备腐蚀严重", ["难题：", "1、除尘效率低；", "2、设备腐蚀严重"]),
        ("步骤(1)清洗原料去皮(2)干燥至含水率5%", ["步骤", "(1)清洗原料去皮", "(2)干燥至含水率5%"]),
        ("①粉碎核桃壳外皮②炭化处理样品", ["①粉碎核桃壳外皮", "②炭化处理样品"]),
        ("10. 清洗原料与去皮", ["10. 清洗原料与去皮"]),
        ("一、提高出酒率指标二、降低能耗指标", ["一、提高出酒率指标二、降低能耗指标"]),
        ("一、提高出酒率指标\n二、降低能耗指标", ["一、提高出酒率指标", "二、降低能耗指标"]),
        ("第一，提高出酒率指标，第二，降低能耗", ["第一，提高出酒率指标，", "第二，降低能耗"]),
        ("见式(1)计算", ["见式(1)计算"]),
        ("1、2、3号样品", ["1、2、3号样品"]),
        ("包括（1、清洗与去皮工序2、干燥工序）两步", ["包括（1、清洗与去皮工序2、干燥工序）两步"]),
        ("缺右括号（温度。压力。", ["缺右括号（温度。", "压力。"]),
        ("（" + "长" * 200 + "。尾）", ["（" + "长" * 200 + "。", "尾）"]),
        ("", []),
        ("。。。\n；", []),
    ],
)
def test_a_text_falls_into_its_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@settings(deadline=None, max_examples=300)
@given(st.one_of(pieces, anything))
def test_no_letter_or_digit_is_lost_between_sentences(text: str) -> None:
    found = sentences(text)
    assert all(piece == piece.strip() and piece for piece in found)
    assert [c for c in "".join(found) if c.isalnum()] == [c for c in text if c.isalnum()]


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("本发明公开了一种低温脱硝催化剂", ["低温", "低温脱硝", "催化", "化剂", "催化剂"]),
        ("我公司急需解决养殖废水氨氮超标的问题", ["养殖", "废水", "养殖废水", "氨氮", "超标"]),
        ("国内领先，已推广应用", []),
        ("CO₂、PM2.5、5G、A01G", ["co2", "pm2.5", "5g", "a01g"]),
        ("LiNi0.8Co0.1Mn0.1O2正极", ["lini0.8co0.1mn0.1o2", "正极"]),
        ("浓度50mg/L、25％、120℃、3.5", ["浓度", "50mg/l", "25%", "120℃"]),
        ("RV减速器与rv减速器", ["减速", "减速器", "rv减速器"] * 2),
        ("乾燥機", ["干燥", "干燥机"]),
        ("x 3 2024 。，", []),
        ("水", ["水"]),
        ("的", []),
        ("水泵", ["水泵"]),
        ("", []),
        ("😀 \n", []),
        ("\ud800", []),
    ],
)
def test_the_terms_of_a_text_are_the_words_that_tell_what_it_is_about(
    tokenizer: Tokenizer, text: str, expected: list[str]
) -> None:
    assert tokenizer.terms(text) == expected


@pytest.mark.parametrize("text", ["干燥", "提取", "检测", "发酵", "控制", "制备", "分离", "设备", "材料", "工艺"])
def test_a_word_with_technical_meaning_is_no_stop_word(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.terms(text) == [text]


def test_words_hold_dictionary_terms_whole_even_with_greek_letters_and_brackets(tokenizer: Tokenizer) -> None:
    assert tokenizer.cut("α-亚麻酸与苯并[a]芘含量") == ["α-亚麻酸", "与", "苯并[a]芘", "含量"]


def test_every_dictionary_term_is_one_word_and_one_of_its_own_terms(tokenizer: Tokenizer) -> None:
    terms = dictionary()
    assert [term for term in terms if tokenizer.cut(term) != [term]] == []
    assert [term for term in terms if term.lower() not in tokenizer.terms(term)] == []


@settings(deadline=None, max_examples=300)
@given(st.one_of(pieces, anything, chinese))
def test_the_words_of_a_text_joined_give_the_text_back(text: str) -> None:
    words = Tokenizer.default().cut(text)
    assert "".join(words) == text
    assert all(words)


@settings(deadline=None, max_examples=300)
@given(st.one_of(pieces, anything, chinese))
def test_terms_are_lower_case_and_never_stop_words_or_bare_numbers(text: str) -> None:
    stop = set(words_of(CORPUS / "stopwords.txt"))
    for term in Tokenizer.default().terms(text):
        assert term == term.lower()
        assert term not in stop
        assert not term.isdigit()


def test_a_tokenizer_of_ones_own_has_its_terms_and_stop_words_only() -> None:
    own = Tokenizer(["量子菌菇机", "A.B机", "", "\ud800"], ["菌菇"])
    assert own.cut("量子菌菇机与A.B机") == ["量子菌菇机", "与", "A.B机"]
    assert "种植" in own.terms("种植菌菇")
    assert "菌菇" not in own.terms("种植菌菇")
    # Terms of one tokenizer do not leak into another.
    assert Tokenizer([], []).cut("量子菌菇机") != ["量子菌菇机"]


def test_the_default_tokenizer_is_built_once_and_prefers_the_fast_engine(tokenizer: Tokenizer) -> None:
    assert Tokenizer.default() is tokenizer
    assert tokenizer.engine == "rjieba"


def test_without_rjieba_the_tokenizer_falls_back_on_jieba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rjieba", None)
    assert Tokenizer([], []).engine == "jieba"
    with pytest.raises(ImportError):
        Tokenizer([], [], engine="rjieba")


def test_many_threads_share_one_tokenizer(tokenizer: Tokenizer) -> None:
    text = HOSTILE["prose"][:5000]
    expected = tokenizer.terms(text)
    wrong: list[str] = []

    def work() -> None:
        for _ in range(20):
            if tokenizer.terms(text) != expected:
                wrong.append("differs")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---------------------------------------------------------------- both engines agree

SUBJECTS = [
    *("菌菇种植废水", "茧丝煮茧废水", "黄羊细管冻精", "核桃青皮", "银耳多糖", "α-亚麻酸", "低温脱硝催化剂"),
    *("石墨负极材料", "RV减速器", "压裂返排液", "丹参酮ⅡA", "5G基站", "LiNi0.8Co0.1Mn0.1O2正极", "PM2.5"),
    *("苯并[a]芘", "天然气净化厂", "熟料f-CaO", "1-甲基环丙烯", "啊啊啊啊啊啊啊", "二噁英"),
]
FRAMES = [
    "本发明公开了一种{}的处理方法，属于环保技术领域。",
    "我公司急需解决{}在生产过程中的能耗高、成本高问题；",
    "{}的去除率达到92.5%，浓度低于50mg/L，已在3家企业推广应用！",
    "一种用于{}的检测装置及其控制系统，其特征在于包括传感器与A01G控制器",
    "体積與時間:{}，溫度25°C、pH 7.0；《标准》GB/T 1234-2008 <5 mg 😀",
]
WRITTEN = [frame.format(subject) for frame in FRAMES for subject in SUBJECTS]
WRITTEN += [
    "",
    " ",
    "\r\n",
    "a  b\t\x1c\x85c",
    "C++与C#",
    "㐀㐁中鿖鿿𠮷",
    "\ud800中\udfff",
    "é́",
    "1.2.3",
    "&%-_#+.",
]


def corpus_texts() -> list[str]:
    """Give the fields of this project's sample records, where they are installed."""
    texts: set[str] = set()
    for path in sorted(CORPUS.glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            texts.update(value for row in csv.reader(file) for value in row)
    return sorted(texts)


def test_both_engines_cut_the_same_words(tokenizer: Tokenizer, pure_python: Tokenizer) -> None:
    assert pure_python.engine == "jieba"
    texts = WRITTEN + corpus_texts()
    assert [text for text in texts if tokenizer.cut(text) != pure_python.cut(text)] == []


def test_both_engines_give_the_same_terms(tokenizer: Tokenizer, pure_python: Tokenizer) -> None:
    texts = WRITTEN + corpus_texts()
    assert [text for text in texts if tokenizer.terms(text) != pure_python.terms(text)] == []


@settings(deadline=None, max_examples=300)
@given(text=st.one_of(pieces, anything, chinese))
def test_both_engines_agree_on_any_text(tokenizer: Tokenizer, pure_python: Tokenizer, text: str) -> None:
    assert tokenizer.cut(text) == pure_python.cut(text)
    assert tokenizer.terms(text) == pure_python.terms(text)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(sorted(dictionary())), max_size=8).map("".join))
def test_both_engines_agree_where_dictionary_terms_meet(
    tokenizer: Tokenizer, pure_python: Tokenizer, text: str
) -> None:
    assert tokenizer.cut(text) == pure_python.cut(text)


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize("name", HOSTILE)
def test_twenty_thousand_characters_of_anything_take_no_time(tokenizer: Tokenizer, name: str) -> None:
    text = HOSTILE[name]
    began = time.perf_counter()
    normal = normalize(text)
    sentences(text)
    tokenizer.cut(text)
    tokenizer.terms(text)
    shingles(text, 4)
    char_ngrams(text)
    assert time.perf_counter() - began < SLOW_SECONDS
    assert normalize(normal) == normal


def test_importing_the_module_loads_no_dictionary_and_prints_nothing() -> None:
    code = (
        "import sys, matcher.text; assert not {'jieba', 'rjieba', 'opencc', 'corpus'} & set(sys.modules);"
        "matcher.text.Tokenizer([], [], 'jieba').terms('水泵')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=CORPUS.parent,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---------------------------------------------------------------- the word lists


def test_each_programme_has_its_dictionary() -> None:
    terms = domain_terms()
    assert set(terms) == PROGRAMMES
    assert len(frozenset().union(*terms.values())) >= 1500
    assert "氨氮" in terms["environment"]
    assert all(term == normalize(term).lower() for words in terms.values() for term in words)
    with pytest.raises(TypeError):
        terms["food"] = frozenset()  # type: ignore[index]


@pytest.mark.parametrize("path", sorted((CORPUS / "dictionary").glob("*.txt")), ids=lambda path: path.stem)
def test_a_dictionary_is_sorted_and_each_term_written_once_in_normal_form(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    words = words_of(path)
    assert words == sorted(set(words))
    assert [word for word in words if normalize(word) != word or not 2 <= len(word) <= 12] == []


def test_stop_words_are_single_words_and_no_dictionary_terms(tokenizer: Tokenizer) -> None:
    words = words_of(CORPUS / "stopwords.txt")
    assert len(words) == len(set(words))
    assert 300 <= len(words) <= 700
    assert [word for word in words if tokenizer.cut(word) != [word]] == []
    assert not set(words) & dictionary()


# ---------------------------------------------------------------- overlaps of characters


def test_character_ngrams_stay_within_a_run_of_letters_and_digits() -> None:
    assert char_ngrams("低温，脱硝CO2") == ["低温", "脱硝", "硝c", "co", "o2", "脱硝c", "硝co", "co2"]
    assert char_ngrams("水泵", sizes=(1,)) == ["水", "泵"]
    assert char_ngrams("") == []


def test_shingles_ignore_case_whitespace_and_punctuation() -> None:
    assert shingles("低温 脱硝，CO2", 3) == {"低温脱", "温脱硝", "脱硝c", "硝co", "co2"}
    assert shingles("水泵", 5) == {"水泵"}
    assert shingles("，。", 2) == set()
    with pytest.raises(ValueError, match="at least 1"):
        shingles("水泵", 0)
