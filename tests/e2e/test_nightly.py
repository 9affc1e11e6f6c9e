"""Three nights: real commands, a real mail server, a real service behind the links of the mails."""

from __future__ import annotations

import csv
import json
import re
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import Service, matcher, service
from tests.mail.sink import Sink

LI, WANG = "li@yiner.example", "wang@broker.example"
TITLE = "银耳烘干的节能改造"
TEXT = "现用燃煤热风炉烘干银耳，每吨干品耗煤一吨半，干品发黄。求热泵烘干工艺与设备，要求能耗降低一半，成品不发黄。"
# Level 3 for this text, and 4 once it says more.
WEAK = ("食用菌热风烘干房", "食用菌烘干房采用生物质热风炉供热，分段控制温度和排湿，适用于香菇、木耳和银耳。")
STRONG = (
    "银耳热泵烘干节能工艺及设备",
    "以热泵代替燃煤热风炉烘干银耳，分段除湿并回收排湿余热，每吨干品能耗降低一半以上，成品洁白不发黄。",
)
NEW = (
    "银耳低温热泵联合干燥生产线",
    "针对银耳烘干能耗高、干品发黄的问题，采用热泵低温烘干与余热回收，能耗较燃煤热风炉降低六成。",
)
NEWER = ("银耳微波热泵组合烘干机", "银耳烘干先用热泵后用微波，成品不发黄，能耗比燃煤热风炉降低一半。")


@dataclass
class Platform:
    """An installation with its service and mail server."""

    home: Path
    service: Service
    sink: Sink
    settings: dict[str, str]

    def run(self, *arguments: str | Path) -> Any:
        done = matcher(self.home, *arguments, **self.settings)
        assert done.returncode == 0, done.stderr
        return done

    def night(self, day: str) -> tuple[dict[str, Any], list[EmailMessage]]:
        """The report of a night and the mails that came."""
        before = len(self.sink.taken)
        report = json.loads(self.run("nightly", "--date", day, "--json").stdout)
        return report, [taken.message for taken in self.sink.taken[before:]]

    def ingest(self, **offers: tuple[str, str]) -> None:
        path = self.home / "成果.csv"
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            table = csv.writer(file)
            table.writerow(["编号", "成果名称", "成果简介", "完成单位"])
            table.writerows([[number, *offer, "川北菌业研究所"] for number, offer in offers.items()])
        self.run("ingest", path, "--kind", "achievement")

    def page(self, url: str, **form: str) -> str:
        """What a link or a button of a page leads to, from somewhere without cookies."""
        assert url.startswith(self.service.url)
        data = urllib.parse.urlencode(form).encode() if form else None
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as answer:
            return str(answer.read().decode())


@pytest.fixture
def platform(model_home: Path, sample_vectors: Path, tmp_path: Path) -> Iterator[Platform]:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(sample_vectors, home)
    (home / "model").symlink_to(model_home / "model")
    with Sink().running() as sink, service(home) as running:
        settings = {
            "MATCHER_SMTP_HOST": "127.0.0.1",
            "MATCHER_SMTP_PORT": str(sink.port),
            "MATCHER_SMTP_SECURITY": "none",
            "MATCHER_MAIL_FROM": "科技成果匹配平台 <match@platform.example>",
            "MATCHER_PUBLIC_URL": running.url,
        }
        yield Platform(home, running, sink, settings)


def parts(mail: EmailMessage) -> tuple[str, str]:
    """Text and HTML."""
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text
    assert html
    return text.get_content(), html.get_content()


def header_link(mail: EmailMessage) -> str:
    """Where one click unsubscribes."""
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = re.search(r"<(https?://[^>]+)>", mail["List-Unsubscribe"])
    assert found
    return found[1]


def test_three_nights_and_the_end_of_a_subscription(platform: Platform) -> None:
    platform.run("demo")
    platform.ingest(A1=WEAK)
    # Wang consented elsewhere; Li is asked by mail, and says yes on the page that it leads to.
    what = ("--title", TITLE, "--text", TEXT)
    platform.run("subscribe", "--email", WANG, *what, "--confirmed")
    platform.run("subscribe", "--email", LI, *what)
    platform.run("outbox")
    (question,) = [taken.message for taken in platform.sink.taken]
    assert question["To"] == LI
    assert question["Subject"] == "请确认订阅技术匹配简报"
    (person,) = set(re.findall(r"http://\S+/mail/[\w-]+", parts(question)[0]))
    assert TITLE in platform.page(person)
    (mail,) = platform.night("2030-03-02")[1]
    assert mail["To"] == WANG  # looking at the page was no yes
    platform.page(f"{person}/confirm", yes="1")

    # Li's first night: all that fits. Wang has had his.
    report, (mail,) = platform.night("2030-03-03")
    assert (mail["To"], report["digests"], report["sending"]["sent"]) == (LI, 1, 1)
    text, html = parts(mail)
    assert WEAK[0] in text
    assert WEAK[0] in html
    assert "较强相关" in text
    assert mail["Subject"].startswith("技术匹配简报：")
    assert '<html lang="zh-CN"' in html
    link = next(one for one in re.findall(r"http://\S+/records/\S+", text[text.index(WEAK[0]) :]))
    page = platform.page(link)
    assert WEAK[0] in page
    assert WEAK[1][:20] in page

    # The second: nothing is new.
    report, mails = platform.night("2030-03-04")
    assert (mails, report["pairs"], report["matched"]) == ([], 0, 0)

    # The third: one new offer, and one whose level has risen.
    platform.ingest(A1=STRONG, A2=NEW)
    report, mails = platform.night("2030-03-05")
    assert sorted(mail["To"] for mail in mails) == [LI, WANG]
    assert report["pairs"] == 4
    for mail in mails:
        text, html = parts(mail)
        assert text.count("/records/") == 2
        assert STRONG[0] in text
        assert NEW[0] in text
        assert "关联度由较强相关升为强相关" in text
        assert "关联度由较强相关升为强相关" in html
        assert "双方" in text or "“" in text

    # Li's mail program unsubscribes with one click, Wang by the link and its page.
    by_person = {mail["To"]: mail for mail in mails}
    assert "已退订" in platform.page(header_link(by_person[LI]), **{"List-Unsubscribe": "One-Click"})
    link = next(one for one in re.findall(r"http://\S+/unsubscribe", parts(by_person[WANG])[0]))
    assert "退订" in platform.page(link)
    platform.ingest(A1=STRONG, A2=NEW, A3=NEWER)
    report, mails = platform.night("2030-03-06")
    assert [mail["To"] for mail in mails] == [WANG]  # the page alone ended nothing
    assert NEWER[0] in parts(mails[0])[0]
    assert "已退订" in platform.page(link, confirmed="1")
    platform.ingest(A1=STRONG, A2=NEW, A3=NEWER, A4=("银耳烘干热泵机组", STRONG[1] + "可移动使用。"))
    report, mails = platform.night("2030-03-07")
    assert (mails, report["people"]) == ([], 0)
    assert all(count == 1 for count in _by_day(platform.sink).values())


def _by_day(sink: Sink) -> dict[tuple[str, str], int]:
    """How many digests each got with one subject, which names the day."""
    counts: dict[tuple[str, str], int] = {}
    for taken in sink.taken:
        key = (taken.recipient, taken.message["Message-ID"])
        counts[key] = counts.get(key, 0) + 1
    return counts
