"""From a mail's link to its end, on a running service, and what a browser makes of the pages."""

from __future__ import annotations

import email
import email.policy
import html
import re
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from bench.picture import FLAGS, HOW_TO_INSTALL, browser
from matcher.engine import Matcher
from matcher.settings import Settings
from matcher.wishes import Wish
from tests.e2e.running import Service, matcher, service

OFFERS = """编号,成果名称,成果简介,完成单位
A1,鲜银耳分段变温热泵烘干工艺,以闭路热泵代替燃煤，鲜银耳分三段烘干，每公斤干耳耗电六度，耳基洁白不发黄。,蜀北农林大学
"""
NEED = "鲜银耳用燃煤烘房烘干，能耗高，耳基发黄，想用热泵分段变温烘干，每天处理五吨鲜耳"
READER = "li.ming@corp.example"
PHONE_WIDTH = 360
SECONDS = 60
# Measured in frames, since no window is as narrow as a phone. They inherit the policy: whatever they tried to load
# would be a complaint in the console.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
MEASURE = """
addEventListener("load", () => {
  const frames = [...document.querySelectorAll("iframe")];
  document.body.dataset.widths = frames.map(one => one.contentDocument.documentElement.scrollWidth).join();
});
"""


@pytest.fixture(scope="module")
def home(model_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an offer, and somebody who follows a text that it fits."""
    home = tmp_path_factory.mktemp("pages")
    (home / "model").symlink_to(model_home / "model")
    table = home / "offers.csv"
    table.write_text(OFFERS, "utf-8")
    # Without a process: neither needs the model.
    opened = Matcher(Settings(home=home))
    assert opened.ingest(table).counts["added"] == 1
    opened.subscriptions.add(READER, Wish(follows="text", text=NEED, min_level=2), confirmed=True)
    opened.close()
    return home


@pytest.fixture(scope="module")
def running(home: Path) -> Iterator[Service]:
    with service(home) as started:
        yield started


@pytest.fixture(scope="module")
def mail(home: Path, running: Service, tmp_path_factory: pytest.TempPathFactory) -> EmailMessage:
    """The mail of the subscriber's first night; its links lead to the running service."""
    folder = tmp_path_factory.mktemp("mails")
    night = matcher(home, "nightly", "--dry-run", folder, MATCHER_PUBLIC_URL=running.url)
    assert night.returncode == 0, night.stderr
    (file,) = folder.glob("*.eml")
    return email.message_from_bytes(file.read_bytes(), policy=email.policy.default)


def links(mail: EmailMessage) -> list[str]:
    body = mail.get_body(("plain",))
    assert body is not None
    return re.findall(r"https?://\S+", body.get_content())


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


@pytest.fixture
def chromium() -> str:
    found = browser()
    if found is None:
        pytest.skip(HOW_TO_INSTALL)
    return found


def dumped(chromium: str, address: str, folder: Path) -> tuple[str, list[str]]:
    """What a browser makes of a page, and its complaints."""
    command = [*(chromium, *FLAGS), f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--v=0"]
    ran = subprocess.run([*command, "--dump-dom", address], capture_output=True, text=True, timeout=SECONDS, check=True)
    return ran.stdout, [line for line in ran.stderr.splitlines() if "CONSOLE" in line]


def test_from_the_mail_to_the_record_to_the_end_of_the_subscription(running: Service, mail: EmailMessage) -> None:
    found = links(mail)
    assert all(link.startswith(running.url) for link in found)
    with httpx.Client() as reader:
        record = reader.get(next(link for link in found if "/records/" in link))
        assert record.status_code == 200
        assert "鲜银耳分段变温热泵烘干工艺" in record.text
        assert "每公斤干耳耗电六度" in record.text
        person = next(link for link in found if re.search(r"/mail/[^/#]+$", link))
        page = reader.get(person)
        action = re.search(r'action="([^"]+/end)"><input type="hidden" name="id" value="([^"]+)"', page.text)
        assert action
        ended = reader.post(page.url.join(action[1]), data={"id": action[2]}, follow_redirects=True)
        assert "已结束该订阅" in ended.text
        assert "没有正在进行的订阅" in ended.text
        one_click = str(mail["List-Unsubscribe"]).strip("<>")
        assert one_click in found
        asked = reader.get(one_click)
        assert "确认退订" in asked.text
        assert "已退订" not in asked.text
        assert "已退订" in reader.post(one_click, data={"List-Unsubscribe": "One-Click"}).text


def test_a_browser_shows_a_page_as_its_headers_allow(
    running: Service, mail: EmailMessage, chromium: str, tmp_path: Path
) -> None:
    person = next(link for link in links(mail) if re.search(r"/mail/[^/#]+$", link))
    shown, complaints = dumped(chromium, person, tmp_path)
    assert "我的订阅" in shown
    assert complaints == []


def test_nothing_is_wider_than_a_phone_or_comes_from_elsewhere(
    running: Service, mail: EmailMessage, chromium: str, tmp_path: Path
) -> None:
    found = links(mail)
    record = next(link for link in found if "/records/" in link)
    person = next(link for link in found if re.search(r"/mail/[^/#]+$", link))
    addresses = [record, person, f"{person}/unsubscribe", f"{running.url}/records/none"]
    pages = [html_of(mail), *(httpx.get(address).text for address in addresses)]
    frames = "".join(
        f'<iframe width="{PHONE_WIDTH}" height="800" style="border:0" srcdoc="{html.escape(page)}"></iframe>'
        for page in pages
    )
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    outer = tmp_path / "frames.html"
    outer.write_text(f"<!DOCTYPE html>{head}<script>{MEASURE}</script>{frames}", "utf-8")
    shown, complaints = dumped(chromium, outer.as_uri(), tmp_path)
    assert complaints == []
    widths = re.search(r'data-widths="([^"]+)"', shown)
    assert widths
    assert widths[1].split(",") == [str(PHONE_WIDTH)] * len(pages)
