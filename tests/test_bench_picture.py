"""The picture of the mail is cut where the mail ends, and as wide as it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from bench.picture import HOW_TO_INSTALL, MARGIN, NoPicture, browser, photograph, without_end

PAGE = '<!DOCTYPE html><body style="margin:0;background:#eee"><div style="height:90px;background:#111">a</div>'


def test_what_is_empty_below_is_cut_off() -> None:
    picture = Image.new("RGB", (40, 100), "white")
    picture.paste("black", (5, 10, 20, 30))
    assert without_end(picture, 6).size == (40, 36)
    assert without_end(picture, 500).size == (40, 100)
    assert without_end(Image.new("RGB", (40, 100), "white"), 6).size == (40, 6)


def test_a_page_is_photographed_as_on_a_phone(tmp_path: Path) -> None:
    if browser() is None:
        pytest.skip(HOW_TO_INSTALL)
    photograph(PAGE, 375, 2.0, tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as taken:
        assert taken.size == (750, 180 + 2 * MARGIN)


def test_without_a_browser_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoPicture, match="apt-get install chromium"):
        photograph(PAGE, 375, 2.0, tmp_path / "page.png")
