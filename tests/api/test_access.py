"""Who may call what: keys, sessions, roles, rates."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest

from api.rates import Rates
from api.sessions import Sessions, load_secret
from matcher import audit
from matcher.accounts import KEY_LIMIT
from matcher.visibility import ROLES
from tests.api.fresh import NEED, OFFER, Fresh, running
from tests.api.support import assert_problem, ready

JSON = {"Content-Type": "application/json"}
ORIGIN = {"Origin": "http://testserver"}
NOBODYS = "need-aaaaaaaaaaaaa"
WISH = {"email": "reader@example.test", "follows": "text", "text": "银耳烘干"}
QUESTION = {"text": "银耳烘干"}
# What each role gets for each route, in the order anonymous, enterprise, intermediary, institution, admin; of a
# record, account or upload that there is not, so that who may call is all that counts.
EVERYBODY = (200, 200, 200, 200, 200)
SIGNED_IN = (401, 200, 200, 200, 200)
NOT_THERE = (401, 404, 404, 404, 404)
ADMINS = (401, 403, 403, 403, 200)
JUDGES = (401, 403, 200, 403, 200)
TABLE: list[tuple[str, str, Any, tuple[int, ...]]] = [
    ("GET", "/healthz", None, EVERYBODY),
    ("GET", "/readyz", None, EVERYBODY),
    ("GET", "/metrics", None, EVERYBODY),
    ("POST", "/v1/match", QUESTION, EVERYBODY),
    ("POST", "/v1/match", QUESTION | {"filters": {"kinds": ["need"]}}, SIGNED_IN),
    ("POST", "/v1/partners", QUESTION, SIGNED_IN),
    ("POST", "/v1/tag", {"items": []}, SIGNED_IN),
    ("GET", "/v1/programmes", None, SIGNED_IN),
    ("GET", "/v1/records", None, SIGNED_IN),
    ("POST", "/v1/records", NEED, (401, 201, 201, 201, 201)),
    ("POST", "/v1/records", OFFER, (401, 201, 201, 201, 201)),
    ("POST", "/v1/records", {"kind": "institution", "title": "蜀北大学"}, (401, 403, 403, 403, 201)),
    ("GET", f"/v1/records/{NOBODYS}", None, NOT_THERE),
    ("PUT", f"/v1/records/{NOBODYS}", NEED, NOT_THERE),
    ("DELETE", f"/v1/records/{NOBODYS}", None, NOT_THERE),
    ("GET", f"/v1/records/{NOBODYS}/history", None, NOT_THERE),
    ("GET", f"/v1/records/{NOBODYS}/matches", None, NOT_THERE),
    ("GET", f"/v1/records/{NOBODYS}/similar", None, NOT_THERE),
    ("GET", f"/v1/records/{NOBODYS}/partners", None, NOT_THERE),
    ("GET", f"/v1/records/{NOBODYS}/sources", None, NOT_THERE),
    ("GET", "/v1/duplicates", None, ADMINS),
    ("POST", "/v1/duplicates/999999", {"decision": "merge"}, (401, 403, 403, 403, 404)),
    ("GET", "/v1/facets", None, SIGNED_IN),
    ("GET", "/v1/statistics", None, SIGNED_IN),
    ("GET", "/v1/export", None, SIGNED_IN),
    ("GET", "/v1/summary", None, ADMINS),
    ("GET", "/v1/uploads", None, SIGNED_IN),
    ("GET", "/v1/uploads/up-0", None, NOT_THERE),
    ("GET", "/v1/uploads/up-0/rejects", None, NOT_THERE),
    ("GET", "/v1/judgements", None, JUDGES),
    ("POST", "/v1/judgements", {"need_id": "need-0", "offer_id": "ach-0", "level": 4}, (401, 403, 404, 403, 404)),
    ("DELETE", "/v1/judgements?need_id=need-0&offer_id=ach-0", None, (401, 403, 404, 403, 404)),
    ("POST", "/v1/leads", {"programme": "food"}, JUDGES),
    ("GET", "/v1/leads", None, JUDGES),
    ("GET", "/v1/leads?all=true", None, (401, 403, 403, 403, 200)),
    ("GET", "/v1/leads/export", None, JUDGES),
    ("GET", "/v1/leads/lead-0", None, (401, 403, 404, 403, 404)),
    ("POST", "/v1/leads/lead-0/steps", {"status": "contacted"}, (401, 403, 404, 403, 404)),
    ("PUT", "/v1/leads/lead-0/assignee", {"account": "acc-0"}, (401, 403, 404, 403, 404)),
    ("GET", "/v1/lead-lists", None, JUDGES),
    ("POST", "/v1/lead-lists", {"name": "甲", "wanted": {"programme": "food"}}, (401, 403, 201, 403, 201)),
    ("DELETE", "/v1/lead-lists/list-0", None, (401, 403, 404, 403, 404)),
    ("POST", "/v1/lead-lists/list-0/draw", {}, (401, 403, 404, 403, 404)),
    ("GET", "/v1/subscriptions", None, SIGNED_IN),
    ("POST", "/v1/subscriptions", WISH, (401, 201, 201, 201, 201)),
    ("GET", "/v1/subscriptions/sub-0", None, NOT_THERE),
    ("DELETE", "/v1/subscriptions/sub-0", None, NOT_THERE),
    ("GET", "/v1/account", None, SIGNED_IN),
    ("POST", "/v1/account/keys", {"name": "又一个"}, (401, 201, 201, 201, 201)),
    ("DELETE", "/v1/account/keys/key-0", None, NOT_THERE),
    ("POST", "/v1/session", {"key": "mk_no"}, (401, 401, 401, 401, 401)),
    ("DELETE", "/v1/session", None, (204, 204, 204, 204, 204)),
    ("GET", "/v1/accounts", None, ADMINS),
    ("POST", "/v1/accounts", {"name": "乙", "role": "enterprise"}, (401, 403, 403, 403, 201)),
    ("DELETE", "/v1/accounts/acc-0", None, (401, 403, 403, 403, 404)),
    ("GET", "/v1/account/export", None, SIGNED_IN),
    # The last one: nobody is there after it.
    ("DELETE", "/v1/account", None, SIGNED_IN),
]


def test_each_role_may_call_what_the_table_says(fresh: Fresh) -> None:
    keys = [{}, *(fresh.key(role) for role in ROLES)]
    told = [
        (method, path, body, tuple(fresh.client.request(method, path, json=body, headers=k).status_code for k in keys))
        for method, path, body, _ in TABLE
    ]
    assert told == TABLE


def test_the_table_names_every_route(fresh: Fresh) -> None:
    paths = fresh.client.get("/openapi.json").json()["paths"]
    known = {(method.upper(), path) for path, own in paths.items() for method in own}
    tried = set()
    for method, path, _, _ in TABLE:
        plain = path.split("?")[0]
        for one, id_ in (
            ("duplicates/999999", "duplicates/{number}"),
            (NOBODYS, "{id}"),
            ("up-0", "{id}"),
            ("lead-0", "{id}"),
            ("list-0", "{id}"),
            ("acc-0", "{id}"),
            ("sub-0", "{id}"),
            ("key-0", "{key_id}"),
        ):
            plain = plain.replace(one, id_)
        tried.add((method, plain))
    forms = {("POST", "/v1/uploads"), ("POST", "/v1/uploads/preview")}
    assert tried | forms == known  # the forms: see test_uploads


# ------------------------------------------------------------ keys


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer mk_wrong", "Bearer x", "mk_wrong", "Bearer \xff", "Bearer a b"],
)
def test_what_is_no_key_opens_nothing(fresh: Fresh, value: str) -> None:
    for path in ("/v1/account", "/v1/records"):
        answer = fresh.client.get(path, headers={"Authorization": value.encode("latin-1")})  # type: ignore[dict-item]
        assert_problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    # Not even what needs no key: whoever shows a wrong one should learn that it is wrong.
    answer = fresh.client.post("/v1/match", json=QUESTION, headers={"Authorization": value.encode("latin-1")})  # type: ignore[dict-item]
    assert_problem(answer, 401)


def test_a_key_expires(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = fresh.key()
    made = fresh.client.post("/v1/account/keys", json={"name": "短期", "days": 1}, headers=headers).json()
    short = {"Authorization": f"Bearer {made['secret']}"}
    assert fresh.client.get("/v1/account", headers=short).status_code == 200
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1, minutes=1)
    monkeypatch.setattr(audit, "now", lambda: later.isoformat(timespec="seconds"))
    assert_problem(fresh.client.get("/v1/account", headers=short), 401)
    assert fresh.client.get("/v1/account", headers=headers).status_code == 200


def test_a_revoked_key_opens_nothing_from_that_moment(fresh: Fresh) -> None:
    headers = fresh.key()
    made = fresh.client.post("/v1/account/keys", json={"name": "又一个"}, headers=headers).json()
    second, key = {"Authorization": f"Bearer {made['secret']}"}, made["keys"][0]["id"]
    assert fresh.client.get("/v1/account", headers=second).status_code == 200
    assert fresh.client.delete(f"/v1/account/keys/{key}", headers=headers).status_code == 204
    assert_problem(fresh.client.get("/v1/account", headers=second), 401)
    assert_problem(fresh.client.delete(f"/v1/account/keys/{key}", headers=headers), 404)


def test_another_accounts_key_cannot_be_revoked(fresh: Fresh) -> None:
    mine, theirs = fresh.key("admin"), fresh.key()
    key = fresh.client.get("/v1/account", headers=theirs).json()["keys"][0]["id"]
    assert_problem(fresh.client.delete(f"/v1/account/keys/{key}", headers=mine), 404)
    assert fresh.client.get("/v1/account", headers=theirs).status_code == 200


def test_a_closed_account_is_shut_out_and_its_records_stay(fresh: Fresh) -> None:
    admin = fresh.key("admin")
    id_, headers = fresh.account()
    written = fresh.write(headers)
    assert fresh.client.delete(f"/v1/accounts/{id_}", headers=admin).status_code == 204
    assert_problem(fresh.client.get("/v1/account", headers=headers), 401)
    assert fresh.client.get(f"/v1/records/{written['id']}", headers=admin).status_code == 200
    assert_problem(fresh.client.delete(f"/v1/accounts/{id_}", headers=admin), 404)


def test_an_administrator_cannot_shut_himself_out(fresh: Fresh) -> None:
    id_, headers = fresh.account("admin")
    assert_problem(fresh.client.delete(f"/v1/accounts/{id_}", headers=headers), 403)
    assert fresh.client.get("/v1/accounts", headers=headers).status_code == 200


def test_secrets_are_shown_once_and_stored_nowhere(fresh: Fresh, tmp_path: Path) -> None:
    admin = fresh.key("admin")
    asked = {"name": "乙", "role": "enterprise"}
    made = fresh.client.post("/v1/accounts", json=asked, headers=admin | {"Idempotency-Key": "k1"})
    secret = made.json()["secret"]
    assert secret.startswith("mk_")
    again = fresh.client.post("/v1/accounts", json=asked, headers=admin | {"Idempotency-Key": "k1"})
    assert again.json() == made.json() | {"secret": None}
    assert secret not in fresh.client.get("/v1/accounts", headers=admin).text
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert any(path.name.startswith("matcher.db") for path in files)
    assert not any(secret.encode() in path.read_bytes() for path in files)


def test_an_account_has_no_more_keys_than_anybody_needs(fresh: Fresh) -> None:
    headers = fresh.key()
    asked = [fresh.client.post("/v1/account/keys", json={"name": "k"}, headers=headers) for _ in range(KEY_LIMIT)]
    assert [answer.status_code for answer in asked] == [201] * (KEY_LIMIT - 1) + [422]
    fresh.client.delete(f"/v1/account/keys/{asked[0].json()['keys'][0]['id']}", headers=headers)
    assert fresh.client.post("/v1/account/keys", json={"name": "k"}, headers=headers).status_code == 201


# ------------------------------------------------------------ sessions


def sign_in(fresh: Fresh, headers: dict[str, str]) -> str:
    answer = fresh.client.post("/v1/session", json={"key": headers["Authorization"].removeprefix("Bearer ")})
    assert answer.status_code == 200, answer.text
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    fresh.client.cookies.clear()
    return cookie.partition(";")[0]


def test_a_session_is_as_good_as_its_key_and_no_longer(fresh: Fresh) -> None:
    headers = fresh.key()
    cookie = sign_in(fresh, headers)
    account = fresh.client.get("/v1/account", headers={"Cookie": cookie})
    assert account.json() == fresh.client.get("/v1/account", headers=headers).json()
    fresh.client.delete(f"/v1/account/keys/{account.json()['keys'][0]['id']}", headers=headers)
    assert_problem(fresh.client.get("/v1/account", headers={"Cookie": cookie}), 401)


def test_a_stale_session_does_not_keep_anybody_from_signing_in_or_out(fresh: Fresh) -> None:
    stale = {"Cookie": "matcher_session=over"}
    key = fresh.key()["Authorization"].removeprefix("Bearer ")
    assert_problem(fresh.client.get("/v1/account", headers=stale), 401)
    assert fresh.client.post("/v1/session", json={"key": key}, headers=stale).status_code == 200
    gone = fresh.client.delete("/v1/session", headers=stale)
    assert gone.status_code == 204
    assert 'matcher_session=""' in gone.headers["set-cookie"]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://testserver.evil.example", "null", "", "http://"])
def test_a_session_changes_nothing_from_another_site(fresh: Fresh, origin: str) -> None:
    cookie = {"Cookie": sign_in(fresh, fresh.key())}
    foreign = cookie | ({"Origin": origin} if origin else {})
    assert_problem(fresh.client.post("/v1/records", json=NEED, headers=foreign), 403)
    assert_problem(fresh.client.post("/v1/uploads", files={"file": ("a.csv", b"x")}, headers=foreign), 403)
    assert_problem(fresh.client.delete("/v1/account/keys/key-0", headers=foreign), 403)
    assert fresh.client.post("/v1/records", json=NEED, headers=cookie | ORIGIN).status_code == 201


def test_nobody_is_signed_in_or_out_from_another_site(fresh: Fresh) -> None:
    foreign = {"Origin": "https://evil.example"}
    key = fresh.key()["Authorization"].removeprefix("Bearer ")
    assert_problem(fresh.client.post("/v1/session", json={"key": key}, headers=foreign), 403)
    assert_problem(fresh.client.delete("/v1/session", headers=foreign), 403)


def test_a_cookie_that_was_tampered_with_is_refused(fresh: Fresh, tmp_path: Path) -> None:
    cookie = sign_in(fresh, fresh.key()).partition("=")[2]
    key = jwt.decode(cookie, options={"verify_signature": False})["sub"]
    secret = (tmp_path / "home" / "session.key").read_bytes()
    future = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    forged = {
        "unsigned": jwt.encode({"sub": key, "exp": future}, "", "none"),
        "signed by another": jwt.encode({"sub": key, "exp": future}, b"x" * 32, "HS256"),
        "other algorithm": jwt.encode({"sub": key, "exp": future}, secret * 2, "HS512"),
        "over": jwt.encode({"sub": key, "exp": future - datetime.timedelta(hours=2)}, secret, "HS256"),
        "without end": jwt.encode({"sub": key}, secret, "HS256"),
        "of nobody": jwt.encode({"sub": "key-0", "exp": future}, secret, "HS256"),
        "cut": cookie[:-2],
        "odd": "é.é.é",
    }
    good = jwt.encode({"sub": key, "exp": future}, secret, "HS256")
    assert fresh.client.get("/v1/account", headers={"Cookie": f"matcher_session={good}"}).status_code == 200
    for name, value in forged.items():
        sent = f"matcher_session={value}".encode()
        assert fresh.client.get("/v1/account", headers={b"Cookie": sent}).status_code == 401, name


def test_processes_share_one_secret_that_only_they_can_read(tmp_path: Path) -> None:
    path = tmp_path / "home" / "session.key"
    code = (
        f"from api.sessions import load_secret; from pathlib import Path; print(load_secret(Path({str(path)!r})).hex())"
    )
    running_ = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = {process.communicate(timeout=60)[0].strip() for process in running_}
    assert told == {load_secret(path).hex()}
    assert path.stat().st_mode & 0o077 == 0
    assert Sessions(load_secret(path)).key_of(Sessions(path.read_bytes()).sign("key-1")) == "key-1"
    assert len(list(path.parent.iterdir())) == 1


# ------------------------------------------------------------ rates


def test_a_key_may_call_so_often_and_another_key_no_less(tmp_path: Path) -> None:
    with running(tmp_path / "home", rate_limit=3) as fresh:
        mine, theirs = fresh.key(), fresh.key()
        told = [fresh.client.get("/v1/account", headers=mine) for _ in range(5)]
        assert [answer.status_code for answer in told] == [200, 200, 200, 429, 429]
        assert_problem(told[-1], 429)
        assert 1 <= int(told[-1].headers["retry-after"]) <= 60
        assert fresh.client.get("/v1/account", headers=theirs).status_code == 200


def test_anonymous_calls_and_guesses_at_keys_are_counted_by_address(tmp_path: Path) -> None:
    with running(tmp_path / "home", rate_limit_anonymous=4) as fresh:
        ready(fresh.client)
        headers = fresh.key()
        calls = [
            lambda: fresh.client.post("/v1/match", json=QUESTION),
            lambda: fresh.client.get("/v1/account", headers={"Authorization": "Bearer mk_guess"}),
            lambda: fresh.client.post("/v1/session", json={"key": "mk_guess"}),
            lambda: fresh.client.get("/v1/account", headers={"Cookie": "matcher_session=guess"}),
        ]
        assert [call().status_code for call in calls] == [200, 401, 401, 401]
        assert [call().status_code for call in calls] == [429] * 4
        assert fresh.client.get("/v1/account", headers=headers).status_code == 200
        assert fresh.client.get("/healthz").status_code == 200


def test_processes_count_together(tmp_path: Path) -> None:
    path = tmp_path / "rates.db"
    code = f"from api.rates import Rates; from pathlib import Path; print(Rates(Path({str(path)!r})).wait('甲', 2))"
    told = []
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        told.append(int(done.stdout))
    # A minute may end between two of them.
    assert told[0] == 0
    assert any(told[2:])


def test_a_window_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 6000.0
    monkeypatch.setattr("api.rates.time.time", lambda: clock)
    rates = Rates(tmp_path / "rates.db")
    assert [rates.wait("甲", 2) for _ in range(3)] == [0, 0, 60]
    clock = 6059.0
    assert rates.wait("甲", 2) == 1
    clock = 6060.0
    assert rates.wait("甲", 2) == 0
    rates.close()


def test_without_a_place_to_count_everybody_is_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rates = Rates(tmp_path / "rates.db")
    rates.close()
    assert rates.wait("甲", 1) == 0
    assert "could not be counted" in caplog.text


def test_anonymous_questions_can_be_forbidden(tmp_path: Path) -> None:
    with running(tmp_path / "home", anonymous=False) as fresh:
        ready(fresh.client)
        assert_problem(fresh.client.post("/v1/match", json=QUESTION), 401)
        assert fresh.client.post("/v1/match", json=QUESTION, headers=fresh.key()).status_code == 200


# ------------------------------------------------------------ what browsers are told


@pytest.mark.parametrize("path", ["/v1/account", "/v1/records/x", "/nowhere", "/docs", "/healthz"])
def test_answers_are_for_the_caller_alone(fresh: Fresh, path: str) -> None:
    headers = fresh.client.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers
