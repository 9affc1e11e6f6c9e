"""What the local index says when its files are damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from matcher.errors import DamagedIndex
from tests.index.support import LocalOpener, home, keys_of, local, mushroom, write

DAMAGES: dict[str, Callable[[Path], None]] = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: rewrite(path, b""),
    "truncated": lambda path: rewrite(path, path.read_bytes()[: path.stat().st_size // 2]),
}


def rewrite(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def current_files(folder: Path) -> list[Path]:
    """The files of the current generation without which it cannot be read."""
    number = (folder / "CURRENT").read_text()
    generation = folder / "generations" / number
    segments = json.loads((generation / "manifest.json").read_text("utf-8"))["segments"]
    files = [path for path in generation.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return [*files, *(path for name in segments for path in (folder / "segments" / name).iterdir())]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_with_what_to_do_about_it(tmp_path: Path, open_local: LocalOpener, damage: str) -> None:
    write(open_local(), [mushroom(1), mushroom(2)])
    write(open_local(), [mushroom(3)], revision=2)
    files = [path.relative_to(home(tmp_path)) for path in current_files(home(tmp_path))]
    assert {"manifest.json", "dead.npy", "counts.npz", "keys.npy", "title.npy", "posting_rows.npy"} <= {
        path.name for path in files
    }
    whole = tmp_path / "whole"
    shutil.copytree(tmp_path / "index", whole)
    for path in files:
        shutil.rmtree(tmp_path / "index")
        shutil.copytree(whole, tmp_path / "index")
        DAMAGES[damage](home(tmp_path) / path)
        with pytest.raises(DamagedIndex, match=r"索引文件已?(损坏|缺失).*matcher reindex"):
            open_local()


@pytest.mark.parametrize("content", ["", "第三代", "7"])
def test_a_damaged_pointer_is_told_with_what_to_do_about_it(
    tmp_path: Path, open_local: LocalOpener, content: str
) -> None:
    write(open_local(), [mushroom(1)])
    (home(tmp_path) / "CURRENT").write_text(content, encoding="utf-8")
    with pytest.raises(DamagedIndex, match="matcher reindex"):
        open_local()


@pytest.mark.parametrize("name", ["manifest.json", "dead.npy", "counts.npz"])
@pytest.mark.parametrize("damage", ["deleted", "truncated"])
def test_a_damaged_index_cannot_be_written_to_but_can_be_rebuilt(
    tmp_path: Path, open_local: LocalOpener, name: str, damage: str
) -> None:
    write(open_local(), [mushroom(1)])
    folder = home(tmp_path)
    DAMAGES[damage](folder / "generations" / (folder / "CURRENT").read_text() / name)
    index = local(tmp_path / "index")
    with pytest.raises(DamagedIndex), index.writer(1):
        pass
    with index.writer(1, rebuild=True) as writer:
        writer.upsert([mushroom(5)])
        writer.flush(9)
    assert (index.revision, keys_of(index), keys_of(open_local())) == (9, {5}, {5})
    write(index, [mushroom(6)], revision=10)
    assert keys_of(open_local()) == {5, 6}


def test_a_reader_serves_on_when_the_next_generation_is_damaged(tmp_path: Path, open_local: LocalOpener) -> None:
    write(open_local(), [mushroom(1)])
    reading = open_local()
    write(open_local(), [mushroom(2)], revision=2)
    folder = home(tmp_path)
    DAMAGES["truncated"](folder / "generations" / (folder / "CURRENT").read_text() / "manifest.json")
    for _ in range(2):
        with pytest.raises(DamagedIndex):
            reading.refresh()
        assert (reading.revision, keys_of(reading)) == (1, {1})
