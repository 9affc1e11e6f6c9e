"""Who reads which record by the link in a mail, and what the page shows."""

from __future__ import annotations

import pytest

from matcher.accounts import Account
from matcher.records import Achievement, Need, Patent
from tests.api.fresh import Fresh
from tests.pages.conftest import Open
from tests.pages.support import Reader, assert_page, words

PHONE = "13900001111"
OWNER = "雾里云芝生物有限公司"
OFFER = Achievement(
    source="甲",
    source_id="1",
    title="银耳<x>热泵</x>烘干 & 余热回收",
    abstract=f"第一段，电话{PHONE}。\n第二段<script>alert(1)</script>。",
    institution="蜀北农林大学",
    province="四川省",
    city="绵阳市",
    date="2023-06",
    keywords=("银耳", "热泵"),
    url="https://journal.example/a?b=1&c=2",
    maturity="中试",
)
PUBLIC_NEED = Need(
    source="甲", source_id="2", title="银耳烘干节能", institution=OWNER, budget="八十万元", deadline="2027-06-30"
)
SECRET = Need(
    source="甲", source_id="3", title="云芝漆酶浓缩", abstract=f"{OWNER}的酶。", institution=OWNER, visibility="private"
)
FOR_BROKERS = Need(
    source="甲", source_id="4", title="松脂残渣脱色", institution="南江县松脂化工有限公司", visibility="intermediaries"
)


def put(fresh: Fresh, *records: Achievement | Need | Patent, owner: int = 0) -> None:
    fresh.matcher.store.upsert([(record, f"赵某 {PHONE}") for record in records], owner, owner)


def test_everybody_reads_public_offers_and_nothing_else(fresh: Fresh) -> None:
    put(fresh, OFFER, PUBLIC_NEED, SECRET, FOR_BROKERS)
    page = assert_page(fresh.client.get(f"/records/{OFFER.id}"), 200, secret=False)
    gone = [fresh.client.get(f"/records/{id_}") for id_ in (PUBLIC_NEED.id, SECRET.id, FOR_BROKERS.id, "need-x", "%00")]
    assert len({assert_page(answer, 404) for answer in gone}) == 1
    for told in (
        "银耳&lt;x&gt;热泵&lt;/x&gt;烘干 &amp; 余热回收",
        '<p dir="auto">第二段&lt;script&gt;alert(1)&lt;/script&gt;。</p>',
        '<a href="https://journal.example/a?b=1&amp;c=2" rel="noopener noreferrer nofollow">',
    ):
        assert told in page
    for told in ("单位蜀北农林大学", "地区四川省绵阳市", "日期2023年6月", "成熟度中试", "关键词银耳、热泵", "科技成果"):
        assert told in words(page)
    assert PHONE not in page


def test_a_link_shows_its_reader_public_needs(fresh: Fresh, reader: Reader) -> None:
    put(fresh, PUBLIC_NEED)
    reader.follow()
    page = assert_page(fresh.client.get(reader.link(PUBLIC_NEED.id)), 200)
    for told in ("技术需求", f"提出单位{OWNER}", "预算八十万元", "截止日期2027年6月30日"):
        assert told in words(page)
    assert PHONE not in page
    assert fresh.client.head(reader.link(PUBLIC_NEED.id)).status_code == 200


def test_forged_links_and_other_peoples_lead_nowhere(fresh: Fresh, reader: Reader) -> None:
    put(fresh, OFFER, PUBLIC_NEED)
    reader.follow()
    other = Reader(fresh, "wang@corp.example")
    other.follow()
    good = reader.link(PUBLIC_NEED.id)
    key = good.partition("&k=")[2]
    for path in (
        good[:-1],
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.replace(PUBLIC_NEED.id, OFFER.id),
        good.replace(reader.now.id, other.now.id),
        f"/records/{PUBLIC_NEED.id}?s={other.now.id}&k={key}",
        f"/records/{PUBLIC_NEED.id}?s=sbr-0&k={key}",
        f"/records/{PUBLIC_NEED.id}?s={reader.now.id}",
        f"/records/{PUBLIC_NEED.id}?k={key}",
        f"/records/{PUBLIC_NEED.id}?s=%00&k=%ff",
    ):
        assert_page(fresh.client.get(path), 404)


def test_his_own_confidential_need_opens_to_its_owner_while_he_follows_it(
    fresh: Fresh, reader: Reader, account: Account
) -> None:
    put(fresh, SECRET, owner=account.key)
    reader.follow()
    assert_page(fresh.client.get(reader.link(SECRET.id)), 404)
    waiting = Reader(fresh, "wang@corp.example")
    waiting.follow(account.key, confirmed=False, follows="record", subject=SECRET.id)
    assert_page(fresh.client.get(waiting.link(SECRET.id)), 404)
    followed = reader.follow(account.key, follows="record", subject=SECRET.id)
    assert SECRET.title in assert_page(fresh.client.get(reader.link(SECRET.id)), 200)
    reader.book.end(reader.now, followed.id)
    assert_page(fresh.client.get(reader.link(SECRET.id)), 404)


def test_a_closed_account_shows_its_readers_nothing_more(fresh: Fresh, reader: Reader, account: Account) -> None:
    put(fresh, SECRET, owner=account.key)
    reader.follow(account.key, follows="own")
    assert fresh.client.get(reader.link(SECRET.id)).status_code == 200
    fresh.matcher.accounts.close(account.id)
    assert_page(fresh.client.get(reader.link(SECRET.id)), 404)


def test_brokers_read_what_is_for_them_without_its_owner(fresh: Fresh, reader: Reader) -> None:
    put(fresh, FOR_BROKERS)
    broker = fresh.matcher.accounts.add("中介", "intermediary")
    reader.follow(broker.key)
    page = assert_page(fresh.client.get(reader.link(FOR_BROKERS.id)), 200)
    assert "单位未公开" in page
    assert "南江县松脂" not in page


def test_a_record_that_is_hidden_or_withdrawn_is_gone_at_once(fresh: Fresh, reader: Reader, account: Account) -> None:
    reader.follow()
    put(fresh, PUBLIC_NEED, OFFER, owner=account.key)
    links = [reader.link(PUBLIC_NEED.id), reader.link(OFFER.id)]
    assert [fresh.client.get(link).status_code for link in links] == [200, 200]
    put(fresh, Need(**{**vars(PUBLIC_NEED), "visibility": "private"}), owner=account.key)
    fresh.matcher.store.withdraw(OFFER.id, account.key)
    for path in (*links, f"/records/{OFFER.id}"):
        assert_page(fresh.client.get(path), 404)


def test_a_patent_shows_what_a_patent_has(fresh: Fresh) -> None:
    patent = Patent(
        source="甲",
        source_id="5",
        title="一种烘房",
        publication_number="CN100000001A",
        legal_status="有效",
        application_date="2022-01-04",
        ipc=("F26B 9/06",),
        inventors=("李某",),
        url="javascript:alert(1)",
    )
    put(fresh, patent)
    page = assert_page(fresh.client.get(f"/records/{patent.id}"), 200, secret=False)
    for told in (
        "公开号CN100000001A",
        "申请日2022年1月4日",
        "法律状态有效",
        "分类号F26B9/06",
        "发明人李某",
        "没有正文",
    ):
        assert told in words(page)
    assert "<a " not in page


def test_what_has_ended_says_so(fresh: Fresh, reader: Reader) -> None:
    ended = Need(source="甲", source_id="6", title="去年的需求", deadline="2020-01-01")
    put(fresh, ended)
    reader.follow()
    assert "已结束" in assert_page(fresh.client.get(reader.link(ended.id)), 200)


def test_a_platform_without_anonymous_callers_shows_its_offers_to_readers_only(open_fresh: Open) -> None:
    fresh = open_fresh(anonymous=False)
    put(fresh, OFFER)
    reader = Reader(fresh)
    reader.follow()
    assert_page(fresh.client.get(f"/records/{OFFER.id}"), 404)
    assert_page(fresh.client.get(reader.link(OFFER.id)), 200)


def test_readers_are_counted_like_everybody_without_a_key(open_fresh: Open) -> None:
    fresh = open_fresh(rate_limit_anonymous=2)
    answers = [fresh.client.get("/records/ach-x") for _ in range(3)]
    assert_page(answers[0], 404)
    assert "请求过于频繁" in assert_page(answers[2], 429)
    assert answers[2].headers["retry-after"]


def test_what_breaks_is_told_in_a_page(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("secret detail")

    monkeypatch.setattr(fresh.matcher, "records", broken)
    page = assert_page(fresh.client.get("/records/ach-x"), 500)
    assert "secret detail" not in page
