"""A BERT's dense layers in eight bits, which a processor multiplies faster and reads with a quarter of the traffic.

Weights are rounded to seven bits and a sign, one scale an output, so that the sum of two products with an
eight-bit input still fits the sixteen bits in which AVX2 adds them up. Two remedies keep the vectors:

- What is hard to round is moved from a layer's input to its weights: input channel j is divided by
  ``s_j = max|x_j|^a / max|w_j|^(1-a)`` and the weights are multiplied with it (SmoothQuant: Xiao et al. 2023,
  equation 4).
- What rounding the weights changes on the mean input is added to the bias (Nagel et al. 2019, section 4.2).

Both need to know the inputs; `bench/calibrate.py` measures them on the sample corpus. The file of a calibration
holds, by layer input (``encoder.layer.0.intermediate``), its ``.mean`` and, where it is to be smoothed, its
``.largest`` absolute value, float16 (channels,).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.errors import ModelError

MEAN, LARGEST = ".mean", ".largest"
WEIGHT, BIAS, SCALE, SMOOTHING = ".weight", ".bias", ".scale", ".smoothing"
# Largest absolute value of a rounded weight: 2 * 255 * 63 < 2^15.
LIMIT = 63
# The exponent a: chosen among .3 to .85 on texts of the sample corpus that the calibration left out.
MIGRATION = 0.6
# Below this a channel counts as this, so that one that is never used does not take all the precision.
SMALLEST = 1e-5
LAYERS_OF_AN_INPUT = ("query", "key", "value", "dense")

Floats = NDArray[np.float32]


def shipped() -> Path:
    """The calibration that belongs to the embedded model."""
    return Path(str(resources.files("matcher") / "weights" / "calibration.safetensors"))


def quantise(weights: Path, calibration: Path) -> dict[str, NDArray[Any]]:
    """Round the dense layers whose inputs a calibration knows.

    :param weights: a safetensors file; only the layers named are read.
    :returns: for each layer ``.weight`` int8 (in, out), ``.scale`` float32 (out,) and ``.bias`` float32 (out,);
        for each smoothed input ``.smoothing`` float32 (in,), which the input is to be multiplied with.
    :raises ModelError: if the calibration is damaged or made for another model.
    """
    from safetensors import safe_open
    from safetensors.numpy import load_file

    quantised: dict[str, NDArray[Any]] = {}
    try:
        known = {name: values.astype(np.float32) for name, values in load_file(calibration).items()}
        with safe_open(weights, "numpy") as model:
            present = set(model.keys())
            for mean in sorted(name for name in known if name.endswith(MEAN)):
                source = mean.removesuffix(MEAN)
                names = [f"{source}.{layer}" for layer in LAYERS_OF_AN_INPUT if f"{source}.{layer}{WEIGHT}" in present]
                if not names:
                    raise KeyError(source)
                matrices = [model.get_tensor(name + WEIGHT) for name in names]
                factors = np.ones_like(known[mean])
                if source + LARGEST in known:
                    factors = smoothing(known[source + LARGEST], np.concatenate(matrices))
                    quantised[source + SMOOTHING] = 1 / factors
                for name, matrix in zip(names, matrices, strict=True):
                    rounded, scale = round_rows(matrix * factors)
                    change = matrix - rounded * scale[:, None] / factors
                    quantised[name + WEIGHT] = np.ascontiguousarray(rounded.T)
                    quantised[name + SCALE] = scale
                    quantised[name + BIAS] = model.get_tensor(name + BIAS) + change @ known[mean]
    except Exception as error:  # the library's errors share no base class
        raise ModelError(
            f"内置模型的量化参数 {calibration.name} 已损坏或与模型不符（{type(error).__name__}）。请重新安装 matcher。"
        ) from error
    return quantised


def smoothing(largest: Floats, matrix: Floats) -> Floats:
    """What each input channel is divided by: float32 (in,), of geometric mean 1.

    :param largest: (in,), each channel's largest absolute value.
    :param matrix: (out, in), the weights that read the input.
    """
    heaviest = np.abs(matrix).max(axis=0)
    factors = np.maximum(largest, SMALLEST) ** MIGRATION / np.maximum(heaviest, SMALLEST) ** (1 - MIGRATION)
    relative: Floats = factors / np.exp(np.log(factors).mean())
    return relative


def round_rows(matrix: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Weights (out, in) as whole numbers of at most `LIMIT`, and what each row of them is to be multiplied with."""
    scale = np.maximum(np.abs(matrix).max(axis=1), np.finfo(np.float32).tiny) / np.float32(LIMIT)
    return np.rint(matrix / scale[:, None]).astype(np.int8), scale
