"""A low-rank correction of the embedded model's weights, learned for matching needs with offers.

The file holds, for each matrix it corrects, two thin float16 factors ``NAME.up`` (rows, rank) and
``NAME.down`` (rank, columns) whose product is added to the matrix (LoRA: Hu et al. 2021, section 4.1), and
for each vector ``NAME`` what is added to it. Corrected once, when the model's folder is written, it costs
nothing afterwards. `bench/adapt.py` makes it.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.errors import ModelError

UP, DOWN = ".up", ".down"


def shipped() -> Path:
    """The adapter that belongs to the embedded model."""
    return Path(str(resources.files("matcher") / "weights" / "adapter.safetensors"))


def digest(path: Path) -> str:
    """SHA-256 of a file that shapes the model: another content makes another model.

    :raises ModelError: if there is no such file.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"读不到内置模型的权重文件 {path}。请重新安装 matcher。") from error


def correct(tensors: dict[str, NDArray[np.float32]], path: Path) -> None:
    """Add the adapter to a model's tensors, in place.

    :raises ModelError: if the file is damaged or corrects tensors that the model lacks.
    """
    from safetensors.numpy import load_file

    try:
        adapter: dict[str, NDArray[Any]] = load_file(path)
        for name, values in adapter.items():
            if name.endswith(UP):
                own = name.removesuffix(UP)
                tensors[own] += values.astype(np.float32) @ adapter[own + DOWN].astype(np.float32)
            elif not name.endswith(DOWN):
                tensors[name] += values.astype(np.float32)
    except Exception as error:  # the library's errors share no base class
        raise ModelError(
            f"内置模型的适配权重 {path.name} 已损坏或与模型不符（{type(error).__name__}）。请重新安装 matcher。"
        ) from error
