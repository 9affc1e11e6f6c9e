"""A SentenceTransformer folder with a BERT in it, as an ONNX graph that ONNX Runtime executes.

The graph holds no weights: each initializer points into the folder's own ``model.safetensors``, which
the runtime maps into memory. So of the vocabulary only the pages that texts touch are ever resident. The
dense layers may be quantised; they then stand, a tenth of the model, in a file beside it.

Inputs of quantised layers are rounded to eight bits with a scale for each token. With one for the whole
batch, as ONNX's own DynamicQuantizeLinear has it, the token with the largest value would decide for all how
fine they are rounded, and a text's vector would depend on its neighbours.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matcher import quantisation
from matcher.errors import ModelError

if TYPE_CHECKING:
    import onnx

GRAPH_NAME = "model.onnx"
WEIGHTS_NAME = "model.safetensors"
QUANTISED_NAME = "quantised.safetensors"
OPSET = 20
# The domain of ONNX Runtime's own operators.
RUNTIME = "com.microsoft"
# What a token's largest absolute value becomes, and where its zero lies: 1 to 255 in unsigned eight bits, since
# on most processors the runtime multiplies unsigned inputs with signed weights only.
STEPS, ZERO = 127, 128
# Added to the attention of padding: far below any real logit, far above float32's lowest value.
MASKED = -1e4


def export(folder: Path, calibration: Path | None = None) -> Path:
    """Write ``model.onnx`` beside the folder's weights and return its path.

    Inputs: ``input_ids`` and ``attention_mask``, int64 (batch, tokens). Output: ``embedding``, float32
    (batch, hidden), of unit length.

    :param calibration: how to quantise the dense layers, see `matcher.quantisation`; None leaves them float32.
    :raises ModelError: if the folder holds another architecture than BERT with mean or CLS pooling, or the
        calibration does not fit it.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text("utf-8"))
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        raise ModelError(f"模型目录 {folder} 不是 BERT 结构，不能导出为 ONNX；请改用 SentenceTransformer 直接加载。")
    files = [folder / WEIGHTS_NAME]
    if calibration:
        from safetensors.numpy import save_file

        files.append(folder / QUANTISED_NAME)
        save_file(quantisation.quantise(files[0], calibration), files[1])
        files[1].chmod(0o644)
    graph = _Graph(files)
    output = _bert(graph, config, mean=bool(pooling.get("pooling_mode_mean_tokens")))
    path = folder / GRAPH_NAME
    part = folder / f"{GRAPH_NAME}.{os.getpid()}.part"
    part.write_bytes(graph.model(output, int(config["hidden_size"])).SerializeToString())
    part.replace(path)
    return path


class _Graph:
    """Collects nodes and initializers; every method returns the name of the value it makes.

    :param files: safetensors files in one folder; a tensor of a later one hides those of its name before.
    """

    def __init__(self, files: list[Path]) -> None:
        self._tensors: dict[str, tuple[str, int, dict[str, Any]]] = {}
        for path in files:
            with path.open("rb") as file:
                (size,) = struct.unpack("<Q", file.read(8))
                for name, entry in json.loads(file.read(size)).items():
                    self._tensors[name] = (path.name, 8 + size, entry)
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output."""
        from onnx import helper

        name = f"{op}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def weight(self, name: str) -> str:
        """A tensor of the weight files."""
        import onnx

        if name not in self._initializers:
            location, start, entry = self._tensors[name]
            begin, end = entry["data_offsets"]
            tensor = onnx.TensorProto(
                name=name,
                dims=entry["shape"],
                data_type={"F32": onnx.TensorProto.FLOAT, "I8": onnx.TensorProto.INT8}[entry["dtype"]],
                data_location=onnx.TensorProto.EXTERNAL,
            )
            place = {"location": location, "offset": start + begin, "length": end - begin}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            self._initializers[name] = tensor
        return name

    def constant(self, value: Any, dtype: type) -> str:
        """A small tensor kept in the graph."""
        from onnx import numpy_helper

        name = f"constant_{len(self._initializers)}"
        self._initializers[name] = numpy_helper.from_array(np.array(value, dtype), name)
        return name

    def model(self, output: str, hidden: int) -> onnx.ModelProto:
        """The finished model."""
        from onnx import TensorProto, helper

        self._nodes.append(helper.make_node("Identity", [output], ["embedding"]))
        graph = helper.make_graph(
            self._nodes,
            "bert",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
                for name in ("input_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", hidden])],
            list(self._initializers.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


class _Dense:
    """Adds dense layers to a graph: in eight bits where its files hold them so, otherwise in float32."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph
        self._rounded: dict[str, tuple[str, str]] = {}

    def __call__(self, x: str, name: str) -> str:
        """The layer ``name`` over ``x`` (tokens, in): (tokens, out)."""
        g = self._graph
        weight, bias = g.weight(name + quantisation.WEIGHT), g.weight(name + quantisation.BIAS)
        if name + quantisation.SCALE not in g:
            return g.add("Gemm", x, weight, bias, transB=1)
        if x not in self._rounded:
            self._rounded[x] = self._round(x, name.rpartition(".")[0] + quantisation.SMOOTHING)
        rounded, scale = self._rounded[x]
        whole, zero = g.constant(1.0, np.float32), g.constant(ZERO, np.uint8)
        factors = [rounded, weight, whole, g.weight(name + quantisation.SCALE), zero]
        product = g.add("MatMulIntegerToFloat", *factors, domain=RUNTIME)
        return g.add("Add", g.add("Mul", product, scale), bias)

    def _round(self, x: str, smoothing: str) -> tuple[str, str]:
        """Uint8 (tokens, in) and each token's scale, float32 (tokens, 1). Of a token of zeros the scale is zero."""
        g = self._graph
        if smoothing in g:
            x = g.add("Mul", x, g.weight(smoothing))
        channels = g.constant([1], np.int64)
        largest = g.add("ReduceMax", g.add("Abs", x), channels, keepdims=0)
        scale = g.add("Mul", largest, g.constant(1 / STEPS, np.float32))
        zeros = g.add("Expand", g.constant([ZERO], np.uint8), g.add("Shape", scale))
        return g.add("QuantizeLinear", x, scale, zeros, axis=0), g.add("Unsqueeze", scale, channels)


def _bert(g: _Graph, config: dict[str, Any], mean: bool) -> str:
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    epsilon = float(config["layer_norm_eps"])

    dense = _Dense(g)

    def norm(x: str, name: str) -> str:
        scale, bias = g.weight(f"{name}.weight"), g.weight(f"{name}.bias")
        return g.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)

    shape = g.add("Shape", "input_ids")
    tokens = g.add("Shape", "input_ids", start=1, end=2)
    zero, one = g.constant([0], np.int64), g.constant([1], np.int64)
    flat = g.constant([-1, hidden], np.int64)
    by_head = g.add("Concat", shape, g.constant([heads, hidden // heads], np.int64), axis=0)
    by_text = g.add("Concat", shape, g.constant([hidden], np.int64), axis=0)
    scale = g.constant((hidden // heads) ** -0.5, np.float32)

    present = g.add("Cast", "attention_mask", to=1)
    absent = g.add("Sub", g.constant(1.0, np.float32), present)
    bias = g.add("Mul", absent, g.constant(MASKED, np.float32))
    bias = g.add("Unsqueeze", bias, g.constant([1, 2], np.int64))

    words = g.add("Gather", g.weight("embeddings.word_embeddings.weight"), "input_ids")
    places = g.add("Slice", g.weight("embeddings.position_embeddings.weight"), zero, tokens, zero)
    types = g.add("Slice", g.weight("embeddings.token_type_embeddings.weight"), zero, one, zero)
    x = g.add("Add", words, g.add("Add", places, types))
    # Flat from here on: one row a token, as Gemm needs it.
    x = norm(g.add("Reshape", x, flat), "embeddings.LayerNorm")
    for layer in range(int(config["num_hidden_layers"])):
        prefix = f"encoder.layer.{layer}"

        def split(x: str, name: str, order: list[int]) -> str:
            projected = dense(x, f"{prefix}.attention.self.{name}")  # noqa: B023 - called in this turn only
            return g.add("Transpose", g.add("Reshape", projected, by_head), perm=order)

        logits = g.add("MatMul", split(x, "query", [0, 2, 1, 3]), split(x, "key", [0, 2, 3, 1]))
        logits = g.add("Add", g.add("Mul", logits, scale), bias)
        mixed = g.add("MatMul", g.add("Softmax", logits, axis=-1), split(x, "value", [0, 2, 1, 3]))
        mixed = g.add("Reshape", g.add("Transpose", mixed, perm=[0, 2, 1, 3]), flat)
        mixed = dense(mixed, f"{prefix}.attention.output.dense")
        x = norm(g.add("Add", x, mixed), f"{prefix}.attention.output.LayerNorm")
        wide = g.add("Gelu", dense(x, f"{prefix}.intermediate.dense"))
        x = norm(g.add("Add", x, dense(wide, f"{prefix}.output.dense")), f"{prefix}.output.LayerNorm")
    x = g.add("Reshape", x, by_text)
    if mean:
        weight = g.add("Unsqueeze", present, g.constant([2], np.int64))
        total = g.add("ReduceSum", g.add("Mul", x, weight), one, keepdims=0)
        x = g.add("Div", total, g.add("ReduceSum", weight, one, keepdims=0))
    else:
        x = g.add("Gather", x, g.constant(0, np.int64), axis=1)
    return g.add("LpNormalization", x, axis=-1, p=2)
