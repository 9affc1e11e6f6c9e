"""Dense layers in eight bits: what is rounded, and what is done about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from matcher import e5, quantisation
from matcher.errors import ModelError

LAYER = "encoder.layer.0.intermediate.dense"
SOURCE = "encoder.layer.0.intermediate"


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """One layer of 48 by 32 whose third input channel is large: file, weight, bias."""
    generator = np.random.default_rng(5)
    weight = generator.normal(size=(48, 32)).astype(np.float32)
    bias = generator.normal(size=48).astype(np.float32)
    path = tmp_path / "model.safetensors"
    save_file({f"{LAYER}.weight": weight, f"{LAYER}.bias": bias}, path)
    return path, weight, bias


def calibration(folder: Path, smoothed: bool = True) -> tuple[Path, np.ndarray]:
    mean = np.linspace(-1, 1, 32).astype(np.float16)
    largest = np.ones(32, np.float16)
    mean[2], largest[2] = 8, 20
    path = folder / "calibration.safetensors"
    save_file({f"{SOURCE}.mean": mean} | ({f"{SOURCE}.largest": largest} if smoothed else {}), path)
    return path, mean.astype(np.float32)


def test_two_products_of_rounded_weights_fit_sixteen_bits() -> None:
    weight = np.random.default_rng(6).normal(size=(20, 30)).astype(np.float32)
    weight[3] = 0
    rounded, scale = quantisation.round_rows(weight)
    assert rounded.dtype == np.int8
    assert 2 * 255 * np.abs(rounded.astype(int)).max() < 2**15
    assert np.abs(rounded).max(axis=1).tolist() == [0 if row == 3 else quantisation.LIMIT for row in range(20)]
    assert (np.abs(rounded * scale[:, None] - weight) <= scale[:, None] * 0.5001).all()


@pytest.mark.parametrize("smoothed", [True, False])
def test_the_mean_input_comes_out_as_before(
    model: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path, smoothed: bool
) -> None:
    path, weight, bias = model
    file, mean = calibration(tmp_path, smoothed)
    made = quantisation.quantise(path, file)
    assert (f"{SOURCE}.smoothing" in made) is smoothed
    x = mean * made.get(f"{SOURCE}.smoothing", np.float32(1))
    product = x @ made[f"{LAYER}.weight"] * made[f"{LAYER}.scale"]
    assert np.abs(product + made[f"{LAYER}.bias"] - (weight @ mean + bias)).max() < 1e-4
    assert np.abs(product + bias - (weight @ mean + bias)).max() > 1e-2


def test_smoothing_evens_out_the_channels_of_an_input() -> None:
    largest = np.array([1, 1, 30], np.float32)
    matrix = np.ones((4, 3), np.float32)
    factors = quantisation.smoothing(largest, matrix)
    smoothed = largest / factors
    assert smoothed.max() / smoothed.min() < 5
    assert np.isclose(np.log(factors).mean(), 0, atol=1e-6)
    # A channel that is never used takes no precision from the others.
    assert np.isfinite(quantisation.smoothing(np.array([1, 0], np.float32), matrix[:, :2])).all()


def test_a_damaged_calibration_and_that_of_another_model_are_named(
    model: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(quantisation.shipped().read_bytes()[:1000])
    for file in (damaged, quantisation.shipped()):
        with pytest.raises(ModelError, match="重新安装"):
            quantisation.quantise(model[0], file)


def test_another_calibration_makes_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = e5.fingerprint()
    file, _ = calibration(tmp_path)
    monkeypatch.setattr(quantisation, "shipped", lambda: file)
    assert e5.fingerprint() != name
