"""A person's own pages: reading changes nothing, one button changes one thing, and who leaves is left alone."""

from __future__ import annotations

import pytest

from matcher.accounts import Account
from tests.api.fresh import Fresh
from tests.pages.support import ADDRESS, ONE_CLICK, Reader, assert_page, people, words


def test_the_page_says_what_somebody_follows(fresh: Fresh, reader: Reader) -> None:
    need = fresh.write(fresh.key())
    reader.follow(follows="record", subject=need["id"], programmes=("food",), regions=("巴中市",), frequency="weekly")
    reader.follow(confirmed=False, follows="text", text="<b>松脂</b>脱色", min_level=4)
    page = assert_page(fresh.client.get(reader.page()), 200)
    assert "技术需求《银耳烘干节能》的匹配每周，关联度3级（较强相关）以上；专项限食品饮料；地区限四川省巴中市" in words(
        page
    )
    assert ADDRESS not in page
    assert "l***@corp.example" in page


def test_reading_changes_nothing(fresh: Fresh, reader: Reader) -> None:
    reader.follow()
    reader.follow(confirmed=False, follows="text", text="松脂脱色")
    before = people(fresh)
    for rest in ("", "/unsubscribe", "?done=end", "/confirm", "/end", "/news", "/resume", "/no-such"):
        for method in ("GET", "HEAD", "OPTIONS"):
            fresh.client.request(method, reader.page(rest))
    assert people(fresh) == before
    for rest in ("/confirm", "/end", "/news", "/resume", "/no-such", "/a/b"):
        assert_page(fresh.client.get(reader.page(rest)), 404)


def test_one_click_ends_all_mail_without_cookies_or_origin(fresh: Fresh, reader: Reader) -> None:
    reader.follow()
    answer = fresh.client.post(reader.page("/unsubscribe"), data=ONE_CLICK, follow_redirects=False)
    assert "已退订" in assert_page(answer, 200)
    assert reader.now.suppressed_for == "unsubscribed"
    assert "您已退订" in assert_page(fresh.client.get(reader.page()), 200)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"content": b"List-Unsubscribe=One-Click", "headers": {"Content-Type": "text/plain"}},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b"\xff\x00", "headers": {"Content-Type": "application/json", "Origin": "null"}},
        {"data": ONE_CLICK, "headers": {"Origin": "https://mail.example"}},
        {"data": ONE_CLICK, "headers": {"Cookie": "matcher_session=stale", "Authorization": "Bearer x"}},
    ],
)
def test_unsubscribing_works_whatever_a_mail_program_sends(
    fresh: Fresh, reader: Reader, sent: dict[str, object]
) -> None:
    reader.follow()
    assert_page(fresh.client.post(reader.page("/unsubscribe"), **sent), 200)  # type: ignore[arg-type]
    assert reader.now.suppressed_for == "unsubscribed"


def test_the_page_for_unsubscribing_has_one_button(fresh: Fresh, reader: Reader) -> None:
    reader.follow()
    page = assert_page(fresh.client.get(reader.page("/unsubscribe")), 200)
    assert page.count("<button") == page.count('<form method="post" action="unsubscribe">') == 1
    assert reader.now.suppressed_at is None


def test_waiting_ones_are_confirmed_one_by_one_or_together(fresh: Fresh, reader: Reader) -> None:
    first, *rest = [reader.follow(confirmed=False, follows="text", text=f"烘干工艺{n}").id for n in range(3)]
    page = assert_page(fresh.client.get(reader.page()), 200)
    assert page.count("确认订阅") == 3
    assert "全部确认" in page
    answer = fresh.client.post(reader.page("/confirm"), data={"id": first})
    assert "已确认" in assert_page(answer, 200)
    assert reader.follows() == {first: True, rest[0]: False, rest[1]: False}
    assert_page(fresh.client.post(reader.page("/confirm")), 200)
    assert set(reader.follows().values()) == {True}


def test_a_stranger_learns_nothing_of_a_confidential_need_before_he_says_yes(
    fresh: Fresh, reader: Reader, account: Account
) -> None:
    _, secret = fresh.matcher.accounts.add_key(account, "测试")
    need = fresh.write({"Authorization": f"Bearer {secret}"}, title="云芝漆酶浓缩", visibility="private")
    reader.follow(account.key, confirmed=False, follows="record", subject=need["id"])
    page = assert_page(fresh.client.get(reader.page()), 200)
    assert need["id"] in page
    assert "云芝" not in page
    fresh.client.post(reader.page("/confirm"))
    assert "云芝漆酶浓缩" in assert_page(fresh.client.get(reader.page()), 200)


def test_one_subscription_is_ended_and_only_ones_own(fresh: Fresh, reader: Reader) -> None:
    mine, other = reader.follow(), reader.follow(follows="text", text="松脂脱色")
    stranger = Reader(fresh, "wang@corp.example")
    theirs = stranger.follow()
    assert_page(fresh.client.post(reader.page("/end"), data={"id": theirs.id}), 404)
    assert_page(fresh.client.post(reader.page("/end")), 422)
    assert stranger.follows() == {theirs.id: True}
    assert "已结束该订阅" in assert_page(fresh.client.post(reader.page("/end"), data={"id": mine.id}), 200)
    assert reader.follows() == {other.id: True}
    assert_page(fresh.client.post(reader.page("/end"), data={"id": mine.id}), 404)


def test_matches_and_news_are_a_choice(fresh: Fresh, reader: Reader) -> None:
    reader.follow()
    answer = fresh.client.post(reader.page("/news"), data={"personalised": "false"})
    assert "现在：只收非个性化资讯" in words(assert_page(answer, 200))
    assert not reader.now.personalised
    assert_page(fresh.client.post(reader.page("/news"), data={"personalised": "perhaps"}), 422)
    answer = fresh.client.post(reader.page("/news"), data={"personalised": "true"})
    assert "现在：按您的订阅挑选匹配" in words(assert_page(answer, 200))
    assert reader.now.personalised


def test_who_left_may_come_back_and_who_was_stopped_may_not(fresh: Fresh, reader: Reader) -> None:
    reader.follow()
    for why in ("unsubscribed", "bounced"):
        reader.book.suppress(reader.now, why)
        assert "恢复接收邮件" in assert_page(fresh.client.get(reader.page()), 200)
        assert "已恢复接收邮件" in assert_page(fresh.client.post(reader.page("/resume")), 200)
        assert reader.now.suppressed_at is None
    reader.book.suppress(reader.now, "operator")
    assert "恢复接收邮件" not in assert_page(fresh.client.get(reader.page()), 200)
    assert "联系平台管理员" in assert_page(fresh.client.post(reader.page("/resume")), 403)
    # Nor by leaving first.
    assert_page(fresh.client.post(reader.page("/unsubscribe"), data=ONE_CLICK), 200)
    assert_page(fresh.client.post(reader.page("/resume")), 403)
    assert reader.now.suppressed_for == "operator"


@pytest.mark.parametrize("token", ["x", "%00", "é", "a" * 5000, "..", "%2e%2e%2f"])
def test_whoever_guesses_finds_nothing(fresh: Fresh, reader: Reader, token: str) -> None:
    reader.follow()
    before = people(fresh)
    for rest in ("", "/unsubscribe"):
        assert fresh.client.get(f"/mail/{token}{rest}").status_code == 404
    for rest in ("confirm", "end", "news", "resume", "unsubscribe"):
        answer = fresh.client.post(f"/mail/{token}/{rest}", data={"id": "sub-1", "personalised": "true"})
        assert answer.status_code in (404, 405)
    assert people(fresh) == before


def test_forms_work_wherever_a_proxy_shows_them(fresh: Fresh, reader: Reader) -> None:
    one = reader.follow()
    page = fresh.client.get(reader.page()).text
    assert 'action="/' not in page
    assert 'href="/' not in page
    answer = fresh.client.post(reader.page("/end"), data={"id": one.id}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"../{reader.now.token}?done=end"
    assert "no-store" in answer.headers["cache-control"]


def test_an_unknown_word_in_the_address_says_nothing(fresh: Fresh, reader: Reader) -> None:
    reader.follow()
    assert 'role="status"' not in fresh.client.get(reader.page("?done=<b>")).text
