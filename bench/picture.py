"""The picture of the mail in the README: `make picture`.

Loads the sample corpus into an empty home, composes the mail of somebody who follows a sample need and a sample
achievement, and photographs its HTML in headless Chromium, as wide as on a desk and as on a phone.
"""

from __future__ import annotations

import argparse
import html
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from matcher import sample
from matcher.answering import Answer
from matcher.briefs import Brief, BriefItem, BriefSection
from matcher.engine import Matcher
from matcher.letter_texts import digest_letter
from matcher.queries import MatchQuery
from matcher.rows import StoredRecord
from matcher.settings import Settings
from matcher.subscribers import Subscriber, Subscription
from matcher.visibility import PUBLIC

ROOT = Path(__file__).parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Without these it looks for hosts that nobody here needs; as root it starts only without its sandbox.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Taller than any mail; what is below its end is cut off.
TALL = 4000
WIDTHS = {"mail.png": (800, 1.5), "mail-phone.png": (375, 2.0)}
FOLLOWED_NEED = "N-AGR-01"
SHOWN = 3
DAY = "2026-11-23"
SECONDS = 120


def browser() -> str | None:
    """Where Chromium lies, if it is there."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def photograph(page: str, width: int, scale: float, to: Path) -> None:
    """Render a page in a frame of this width, and cut off what is empty below.

    A window cannot be as narrow as a phone; a frame can.

    :raises RuntimeError: if the browser is not there or writes nothing.
    """
    found = browser()
    if found is None:
        raise RuntimeError("没有找到 Chromium。请先安装，例如 apt-get install chromium fonts-noto-cjk。")
    frame = f'<iframe width="{width}" height="{TALL}" style="border:0;display:block" srcdoc="{html.escape(page)}">'
    with tempfile.TemporaryDirectory() as folder:
        outer, shot = Path(folder, "page.html"), Path(folder, "shot.png")
        outer.write_text(f'<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">{frame}</iframe>', "utf-8")
        subprocess.run(
            [
                *(found, *FLAGS, f"--user-data-dir={folder}/profile", f"--force-device-scale-factor={scale}"),
                *(f"--window-size={max(width, 800)},{TALL}", f"--screenshot={shot}", outer.as_uri()),
            ],
            check=True,
            capture_output=True,
            timeout=SECONDS,
        )
        if not shot.exists():
            raise RuntimeError("Chromium 没有写出图片。")
        with Image.open(shot) as taken:
            cut(taken.convert("RGB"), round(width * scale)).quantize(128).save(to, optimize=True)


def cut(picture: Image.Image, width: int) -> Image.Image:
    """Without the rows at the end that are all of one colour."""
    picture = picture.crop((0, 0, width, picture.height))
    background = picture.getpixel((0, picture.height - 1))
    empty = Image.new("RGB", picture.size, background)
    from PIL import ImageChops

    box = ImageChops.difference(picture, empty).getbbox()
    return picture.crop((0, 0, width, min(picture.height, (box[3] if box else 0) + round(width / 30))))


@contextmanager
def opened(home: Path | None) -> Iterator[Matcher]:
    """An installation with the sample corpus, in a home of its own unless one is given."""
    with tempfile.TemporaryDirectory() as folder:
        matcher = Matcher(Settings(home=home or Path(folder)))
        try:
            for kind, name in sample.FILES:
                matcher.ingest(sample.path(name), kind, source=sample.SOURCE)
            matcher.catch_up()
            yield matcher
        finally:
            matcher.close()


def brief(matcher: Matcher) -> Brief:
    need = next(r for r in sample.records("need") if r.source_id == FOLLOWED_NEED)
    first = matcher.record(need.id, PUBLIC)
    a1 = matcher.match(
        MatchQuery(
            text=need.abstract, title=need.title, asker=need.institution, limit=SHOWN, min_level=2, exclude=first.key
        )
    )
    off = matcher.records([r.id for r in sample.records("achievement")], PUBLIC)
    second, a2 = None, None
    for one in off.values():
        if "烘干" in one.record.title or "菌" in one.record.title:
            a = matcher.match(
                MatchQuery(text=one.record.abstract, title=one.record.title, kinds=("need",), limit=2, min_level=3)
            )
            if a.matches:
                second, a2 = one, a
                break
    sub = Subscriber(1, "sbr-1", "li@corp.example", "x" * 43, True, "2026-11-01", None, None, 0)

    def s(subject, kinds=()):
        return Subscription(
            1,
            "sub-1",
            1,
            0,
            "record",
            subject.id,
            subject.record.title,
            "",
            kinds,
            ("agriculture",) if not kinds else (),
            ("51",),
            3,
            "daily",
            "",
            "",
            None,
            None,
            None,
            None,
        )

    def items(a, rise=None):
        return tuple(
            BriefItem(
                m.stored, None, m.level, 3 if i == rise and m.level > 3 else None, tuple(m.why.terms), m.why.passage
            )
            for i, m in enumerate(a.matches)
        )

    return Brief(sub, DAY, (BriefSection(s(first), first, items(a1, 0)), BriefSection(s(second), second, items(a2))))


if __name__ == "__main__":
    home = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with opened(home) as m:
        b = brief(m)
    letter = digest_letter(b, "https://match.example.cn", "科技成果匹配平台")
    Path("/tmp/letters-home/mail.html").write_text(letter.html)
    print(letter.subject)
    print(letter.text)
    for name, (w, sc) in WIDTHS.items():
        photograph(letter.html, w, sc, ROOT / "docs" / name)
