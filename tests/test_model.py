"""The embedded model: unpacked, trimmed, executed by two libraries."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

from matcher import adapter, e5, embed, onnx_bert, sample
from matcher.embed import OnnxEncoder, SentenceTransformerEncoder, Side, prepare_default_model, token_batches
from matcher.errors import ModelError
from matcher.settings import load_settings

# What both libraries may differ by: a few units in the last place of float32, summed over a layer's width.
CLOSE = 1e-5
# Cosine of a text's quantised vector with its float32 one. Measured on the sample corpus: .9984 in the mean,
# .9975 at the least; without smoothing .9969, and without the corrected biases too .9948.
ALIKE, LEAST_ALIKE = 0.9975, 0.99


@pytest.fixture(scope="module")
def texts() -> list[str]:
    records = [*sample.records("achievement")[::12], *sample.records("patent")[::12], *sample.records("need")[::12]]
    odd = ["", "。", "μm 与 ℃、㎡，≥95%", "Fe₃O₄@SiO₂ core–shell α-Al2O3", "ＡＢＣ１２３", "繁體中文的技術需求"]
    return [*odd, *(f"{record.title}。{record.abstract}" for record in records)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> np.ndarray:
    """Vectors of the whole, untrimmed model, by sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    folder = tmp_path_factory.mktemp("model") / "whole"
    e5.write_folder(folder, keep=None, correction=adapter.shipped())
    model = SentenceTransformer(str(folder), device="cpu")
    assert model.tokenizer.vocab_size > 250_000
    vectors: np.ndarray = model.encode(texts, prompt_name="query", batch_size=8)
    return vectors


def test_the_trimmed_model_is_an_ordinary_folder_and_gives_the_vectors_of_the_whole_one(
    model_home: Path, texts: list[str], reference: np.ndarray
) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(prepare_default_model(model_home)), device="cpu")
    assert model.tokenizer.vocab_size < 110_000
    assert np.abs(model.encode(texts, prompt_name="query") - reference).max() < CLOSE


def test_the_graph_in_float32_gives_the_vectors_of_sentence_transformers(
    model_home: Path, tmp_path: Path, texts: list[str], reference: np.ndarray
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(prepare_default_model(model_home), folder, copy_function=os.link)
    onnx_bert.export(folder)
    encoder = OnnxEncoder(folder, "test", threads=2)
    sides: tuple[Side, ...] = ("query", "document")
    for side, some in zip(sides, (texts, texts[:10]), strict=True):
        vectors = encoder.encode(some, side)
        assert vectors.dtype == np.float32
        assert np.abs(vectors - reference[: len(some)]).max() < CLOSE


def test_quantised_vectors_agree_with_those_of_float32(
    model_home: Path, texts: list[str], reference: np.ndarray
) -> None:
    vectors = OnnxEncoder(prepare_default_model(model_home), "test", threads=2).encode(texts, "query")
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < CLOSE
    cosines = (vectors * reference).sum(axis=1)
    assert cosines.mean() > ALIKE
    assert cosines.min() > LEAST_ALIKE
    pairs = np.triu_indices(len(texts), 1)
    assert np.corrcoef((vectors @ vectors.T)[pairs], (reference @ reference.T)[pairs])[0, 1] > ALIKE


def test_a_vector_does_not_depend_on_what_else_is_in_the_batch(model_home: Path, texts: list[str]) -> None:
    encoder = OnnxEncoder(prepare_default_model(model_home), "test", threads=2)
    some = sorted(texts, key=len)[::4]
    alone = np.concatenate([encoder.encode([text], "query") for text in some])
    assert np.abs(encoder.encode(some, "query") - alone).max() < CLOSE
    # Many batches are embedded side by side, and come back in their places.
    times = 10
    assert len(list(token_batches([len(text) // 2 for text in some * times]))) >= 4
    assert np.abs(encoder.encode(some * times, "query") - np.tile(alone, (times, 1))).max() < CLOSE


def test_a_gpu_runs_the_model_in_float32_under_the_same_name(
    model_home: Path, texts: list[str], reference: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "has_gpu", lambda: True)
    encoder = embed.load_encoder(load_settings(home=model_home))
    assert isinstance(encoder, embed.SentenceTransformerEncoder)
    assert encoder.fingerprint == e5.fingerprint()
    assert np.abs(encoder.encode(texts[:12], "document") - reference[:12]).max() < CLOSE


@pytest.mark.parametrize(("driver", "cuda"), [(False, True), (True, False), (True, True)])
def test_torch_is_asked_for_a_gpu_only_where_a_driver_is(
    driver: bool, cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    torch = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: asked.append(1) or cuda))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(embed, "GPU_DEVICES", (tmp_path / "missing", tmp_path if driver else tmp_path / "none"))
    assert embed.has_gpu() is (driver and cuda)
    assert bool(asked) is driver


def test_a_text_of_twenty_thousand_characters_is_cut_not_refused(model_home: Path) -> None:
    encoder = OnnxEncoder(prepare_default_model(model_home), "test", threads=2)
    assert encoder.encode(["银耳" * 10_000], "query").shape == (1, 384)


def test_damaged_weights_are_refused_by_their_checksum(tmp_path: Path) -> None:
    damaged = tmp_path / "weights.bin"
    damaged.write_bytes(e5.weights_path().read_bytes()[:-1])
    with pytest.raises(ModelError, match="校验和"):
        e5.read_weights(damaged)


def test_the_adapter_is_added_to_the_weights_that_it_names() -> None:
    name = "encoder.layer.0.attention.self.query"
    tensors = {f"{name}.weight": np.zeros((384, 384), np.float32)}
    factors = load_file(adapter.shipped())
    with pytest.raises(ModelError, match="与模型不符"):
        adapter.correct(tensors, adapter.shipped())  # the other tensors are missing
    tensors = {
        own.removesuffix(".up"): np.zeros(
            (len(factors[own]), factors[own.replace(".up", ".down")].shape[1]), np.float32
        )
        if own.endswith(".up")
        else np.zeros(factors[own].shape, np.float32)
        for own in factors
        if not own.endswith(".down")
    }
    adapter.correct(tensors, adapter.shipped())
    up, down = (factors[f"{name}.weight.{part}"].astype(np.float32) for part in ("up", "down"))
    assert np.allclose(tensors[f"{name}.weight"], up @ down)
    assert all(np.abs(tensor).max() > 0 for tensor in tensors.values())


def test_a_damaged_or_missing_adapter_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "adapter.safetensors"
    with pytest.raises(ModelError, match="重新安装"):
        adapter.digest(damaged)
    damaged.write_bytes(adapter.shipped().read_bytes()[:1000])
    with pytest.raises(ModelError, match="已损坏"):
        adapter.correct({}, damaged)
    assert adapter.digest(damaged) != adapter.digest(adapter.shipped())


def test_a_half_written_model_folder_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="请删除该目录后重试"):
        OnnxEncoder(tmp_path, "test", threads=1)


@pytest.mark.parametrize(("name", "reason"), [("", ""), ("missing", "目录不存在")])
def test_a_folder_that_holds_no_model_or_is_missing_is_named_with_the_setting(
    tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(ModelError, match=f"{tmp_path / name}.*{reason}.*MATCHER_MODEL"):
        SentenceTransformerEncoder(str(tmp_path / name))


def test_batches_hold_every_text_once_and_keep_to_the_budget() -> None:
    lengths = [5, 900, 3, 40, 41, 512, 1, 40, 2000]
    batches = list(token_batches(lengths, budget=1024))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert lengths[batch[-1]] == longest
        assert len(batch) == 1 or len(batch) * longest <= 1024
    # A title takes its own time beside a whole text, not as long again as that.
    assert list(token_batches([20, 400])) == [[0], [1]]
    assert list(token_batches([1, 3, 5, 9])) == [[0, 1, 2, 3]]
