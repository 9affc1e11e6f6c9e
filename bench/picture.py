"""The picture of the mail in the README: `make picture`.

Loads the sample corpus into an empty home, lets somebody follow a sample need and a sample achievement, writes his
mail as `matcher nightly --dry-run` does, and photographs its HTML in headless Chromium, as wide as on a desk and as
on a phone.
"""

from __future__ import annotations

import email.message
import email.policy
import html
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

from matcher import sample
from matcher.engine import Matcher
from matcher.errors import MatcherError
from matcher.nightly import rehearse_night
from matcher.records import Kind
from matcher.settings import load_settings
from matcher.wishes import Wish

FOLDER = Path(__file__).parent.parent / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOW_TO_INSTALL = "没有找到 Chromium。请先安装，例如 apt-get install chromium fonts-noto-cjk。"
# Without these it looks for hosts that nobody here needs; as root it starts only without its sandbox.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
# Taller than any mail here; what is below its end is cut off.
TALL = 4000
# A window cannot be as narrow as a phone.
NARROWEST_WINDOW = 800
# Width in CSS pixels, and device pixels to each.
PICTURES = {"mail.png": (760, 1.5), "mail-phone.png": (375, 2.0)}
COLOURS = 128
# Of the margin below the end, as of the one at its side.
MARGIN = 24
FOLLOWED: tuple[tuple[Kind, str], ...] = (("need", "N-ENV-05"), ("achievement", "A-FOO-02"))
READER = "li.ming@corp.example"
SETTINGS = {"mail_from": "科技成果匹配平台 <match@sender.example>", "public_url": "https://match.example"}
SECONDS = 120


class NoPicture(MatcherError):
    """The browser is not there or wrote nothing, or there was nothing to draw."""


def main() -> None:
    """Draw both pictures."""
    with tempfile.TemporaryDirectory() as home:
        page = sample_mail(Path(home))
    for name, (width, scale) in PICTURES.items():
        photograph(page, width, scale, FOLDER / name)
        print(FOLDER / name)


def sample_mail(home: Path) -> str:
    """The HTML of the mail of somebody's first night in a new installation.

    :raises NoPicture: if nothing was found, as when all that was followed has ended.
    """
    matcher = Matcher(load_settings(home=home, **SETTINGS))
    try:
        for kind, name in sample.FILES:
            matcher.ingest(sample.path(name), kind, source=sample.SOURCE)
        for kind, source_id in FOLLOWED:
            subject = next(record.id for record in sample.records(kind) if record.source_id == source_id)
            matcher.subscriptions.add(READER, Wish(follows="record", subject=subject), confirmed=True)
        _, files = rehearse_night(matcher, home / "mails")
    finally:
        matcher.close()
    if not files:
        raise NoPicture("样例订阅没有匹配，也许所订阅的需求已过截止日期；请在 bench/picture.py 中换一条。")
    mail = email.message_from_bytes(files[0].read_bytes(), policy=email.policy.default)
    page = mail.get_body(("html",))
    assert page is not None  # a mail of ours has both forms
    return str(page.get_content())


def browser() -> str | None:
    """Where Chromium lies; None if it is not there."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def photograph(page: str, width: int, scale: float, to: Path) -> None:
    """Render a page in a frame of this width, and cut off what is empty below.

    :param page: a whole document.
    :param width: in CSS pixels.
    :raises NoPicture: if there is no browser, or it writes nothing.
    """
    found = browser()
    if found is None:
        raise NoPicture(HOW_TO_INSTALL)
    frame = f'<iframe width="{width}" height="{TALL}" style="border:0;display:block" srcdoc="{html.escape(page)}">'
    with tempfile.TemporaryDirectory() as folder:
        outer, shot = Path(folder, "page.html"), Path(folder, "shot.png")
        outer.write_text(f'<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">{frame}</iframe>', "utf-8")
        command = [
            *(found, *FLAGS, f"--user-data-dir={folder}/profile", f"--force-device-scale-factor={scale}"),
            *(f"--window-size={max(width, NARROWEST_WINDOW)},{TALL}", f"--screenshot={shot}", outer.as_uri()),
        ]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        if not shot.exists():
            raise NoPicture(f"Chromium 没有写出图片：{ran.stderr[-500:]}")
        with Image.open(shot) as taken:
            whole = taken.convert("RGB").crop((0, 0, round(width * scale), taken.height))
    without_end(whole, round(MARGIN * scale)).quantize(COLOURS).save(to, optimize=True)


def without_end(picture: Image.Image, margin: int) -> Image.Image:
    """A picture without the rows at its end that are of one colour, but for a margin."""
    background = Image.new("RGB", picture.size, picture.getpixel((0, picture.height - 1)))
    drawn = ImageChops.difference(picture, background).getbbox()
    end = drawn[3] if drawn else 0
    return picture.crop((0, 0, picture.width, min(picture.height, end + margin)))


if __name__ == "__main__":
    try:
        main()
    except NoPicture as error:
        sys.exit(f"错误：{error}")
