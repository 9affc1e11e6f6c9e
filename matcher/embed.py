"""Text to unit vectors: the encoder behind one setting, with the cache of `matcher.vectors`."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from filelock import FileLock

from matcher import adapter, e5, onnx_bert, quantisation, seal
from matcher.errors import ModelError
from matcher.faults import room_for
from matcher.settings import DEFAULT_MODEL, Settings
from matcher.vectors import VectorCache, Vectors, text_hash

logger = logging.getLogger(__name__)
Side = Literal["query", "document"]
Progress = Callable[[int, int], None]

# Tokens in one batch. Measured on two cores: 512 is as quick as 1024 for titles and abstracts (8192 a fifth slower,
# since activations then leave the cache), a tenth quicker for the longest texts, and takes 136 MB less for these.
TOKEN_BUDGET = 512
# Texts in one batch on a GPU, four times the library's default. Chosen, not measured.
GPU_BATCH = 128
# What a machine has to show before torch is loaded to ask it for a GPU: loading alone takes seconds.
GPU_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
# Padding in one batch at most, for each token and in all: a title beside a whole text would else take as long
# as that. Chosen; texts sorted by length hardly ever reach it.
PADDING_SHARE = 0.3
PADDING_ALWAYS = 64
# Vectors made between two commits of the cache: what a kill may cost, some ten seconds of work.
COMMIT_EVERY = 128
# Ends the names of folders that are not complete.
PART = ".part"


class Encoder(Protocol):
    """Turns texts into unit vectors, without memory.

    :ivar symmetric: whether both sides of a text have the same vector.
    """

    fingerprint: str
    dimension: int
    symmetric: bool

    def encode(self, texts: Sequence[str], side: Side) -> Vectors:
        """Embed a batch: float32 (len(texts), dimension), each row of length 1."""

    def release(self) -> None:
        """Give back the memory that embedding takes; the next text takes it again."""


class OnnxEncoder:
    """ONNX Runtime over a folder that `matcher.onnx_bert.export` has prepared.

    Texts are cut at the model's longest input. Callers batch by length; see `token_batches`.
    """

    def __init__(self, folder: Path, fingerprint: str, threads: int) -> None:
        import json

        from tokenizers import Tokenizer

        self.fingerprint = fingerprint
        self._folder = folder
        self._threads = threads
        with self._whole_folder():
            config = json.loads((folder / "config.json").read_text("utf-8"))
            prompts = json.loads((folder / "config_sentence_transformers.json").read_text("utf-8"))["prompts"]
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._opened: Any = self._open(threads)
        self._prompts: dict[str, str] = prompts
        self.symmetric = prompts["query"] == prompts["document"]
        self._pad = int(config["pad_token_id"])
        self._tokenizer.enable_truncation(int(config["max_position_embeddings"]))
        self.dimension = int(config["hidden_size"])

    @contextmanager
    def _whole_folder(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the libraries share no base class
            raise ModelError(
                f"内置模型目录 {self._folder} 不完整或已损坏（{type(error).__name__}）。"
                "请删除该目录后重试，程序会自动重建。"
            ) from error

    def _open(self, threads: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            str(self._folder / onnx_bert.GRAPH_NAME),
            options,
            # Grow by what a batch needs, not by doubling. Without the arena glibc gives the memory back
            # after each question, and the next allocations stall for 20 to 30 ms (measured).
            providers=[("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})],
        )

    @property
    def _session(self) -> Any:
        """For questions: all threads work on one batch."""
        if self._opened is None:
            with self._whole_folder():
                self._opened = self._open(self._threads)
        return self._opened

    @cached_property
    def _bulk_session(self) -> Any:
        """For many batches, each on one thread: several side by side are quicker than one on all threads
        (measured on two cores: 1.6 times with both free, twice with one of them busy).
        """
        try:
            return self._open(1)
        except Exception as error:  # the folder was damaged since the first session was opened from it
            logger.warning(f"模型目录 {self._folder} 已不完整（{type(error).__name__}），重启程序时会重新解开。")
            return self._session

    def encode(self, texts: Sequence[str], side: Side) -> Vectors:
        """Embed texts; see `Encoder`."""
        prompt = self._prompts[side]
        encodings = self._tokenizer.encode_batch_fast([prompt + text for text in texts])
        tokens = [encoding.ids for encoding in encodings]
        batches = list(token_batches([len(ids) for ids in tokens]))
        vectors = np.empty((len(texts), self.dimension), np.float32)
        if self._threads == 1 or len(batches) < 2 * self._threads:
            for batch in batches:
                vectors[batch] = self._run(self._session, [tokens[i] for i in batch])
            return vectors
        session = self._bulk_session
        with ThreadPoolExecutor(self._threads) as pool:
            made = pool.map(lambda batch: self._run(session, [tokens[i] for i in batch]), batches)
            for batch, own in zip(batches, made, strict=True):
                vectors[batch] = own
        return vectors

    def release(self) -> None:
        """See `Encoder`."""
        self.__dict__.pop("_bulk_session", None)
        self._opened = None
        # glibc keeps what each thread had taken, some 200 MB after ten thousand texts, for that thread's next time.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

    def _run(self, session: Any, tokens: Sequence[Sequence[int]]) -> Vectors:
        """Embed texts given by their tokens, padded to the longest."""
        ids = np.full((len(tokens), max(map(len, tokens))), self._pad, np.int64)
        mask = np.zeros(ids.shape, np.int64)
        for row, own in enumerate(tokens):
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
        vectors: Vectors = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return vectors


class SentenceTransformerEncoder:
    """Any model that sentence-transformers loads, with its own prompts; on a GPU where there is one.

    :param fingerprint: names the model and its weights; made from their content if None.
    :param batch: texts computed at once.
    """

    def __init__(self, name: str, fingerprint: str | None = None, batch: int = 32) -> None:
        if Path(name).is_absolute() and not Path(name).exists():
            raise _not_loaded(name, "目录不存在")  # before the library, which takes seconds to be there itself
        from sentence_transformers import SentenceTransformer

        self._batch = batch
        try:
            self._model = SentenceTransformer(name)
        except Exception as error:  # whatever the library raises, the user's setting is what can be mended
            raise _not_loaded(name, error) from error
        dimension = self._model.get_embedding_dimension()
        if dimension is None:
            raise ModelError(f"模型“{name}”没有固定的向量维数，不能用于检索。请换用一般的句向量模型。")
        self.dimension = dimension
        self.fingerprint = fingerprint or self._digest(name)
        prompts = self._model.prompts
        self.symmetric = prompts.get("query") == prompts.get("document")

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256(repr(sorted(self._model.prompts.items())).encode())
        for key, tensor in self._model.state_dict().items():
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
        return f"{Path(name).name}:{digest.hexdigest()[:16]}"

    def encode(self, texts: Sequence[str], side: Side) -> Vectors:
        """Embed texts; see `Encoder`."""
        encode: Any = self._model.encode_query if side == "query" else self._model.encode_document
        vectors: Vectors = encode(
            list(texts), batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors.astype(np.float32, copy=False)

    def release(self) -> None:
        """See `Encoder`; torch keeps what it has taken."""


def _not_loaded(name: str, reason: object) -> ModelError:
    return ModelError(
        f"无法加载模型“{name}”（{reason}）。请检查 MATCHER_MODEL 是否为本机的模型目录，或在可联网的机器上先下载该模型。"
    )


def token_batches(lengths: Sequence[int], budget: int = TOKEN_BUDGET) -> Iterator[list[int]]:
    """Group texts of like length so that no batch, padding included, passes the budget of tokens, and none is
    padded much.

    :param lengths: each text's tokens. A text longer than the budget is a batch of its own.
    :returns: lists of positions, shortest texts first; the last of each list is its longest.
    """
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        padded = (len(batch) + 1) * lengths[i]
        tokens = sum(lengths[one] for one in batch) + lengths[i]
        if batch and (padded > budget or padded - tokens > max(PADDING_ALWAYS, PADDING_SHARE * tokens)):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def default_model_folder(home: Path) -> Path:
    """Where the embedded model is unpacked.

    :raises ModelError: if the program's own weights are missing.
    """
    return home / "model" / e5.fingerprint().replace(":", "-")


def prepare_default_model(home: Path) -> Path:
    """The embedded model's folder, made on first use and made anew where files are missing or cut short.

    Two processes at once make it once. Those that have the damaged files open go on with what they have.

    :raises ModelError: if the packaged weights are missing or damaged; DiskFull: if there is no room.
    """
    folder = default_model_folder(home)
    if not seal.is_whole(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")), room_for("解开的内置模型（约 400 MB）", folder.parent):
            if not seal.is_whole(folder):
                _unpack(folder)
    return folder


def _unpack(folder: Path) -> None:
    """Replace the folder by a whole one; also remove what killed processes have left beside it."""
    if folder.exists():
        logger.warning(f"模型目录 {folder} 不完整，正在重新解开。")
    for left in (folder, *folder.parent.glob(f"{folder.name}.*{PART}")):
        shutil.rmtree(left, ignore_errors=True)
    part = folder.with_name(f"{folder.name}.new{PART}")
    try:
        e5.write_folder(part, correction=adapter.shipped())
        onnx_bert.export(part, quantisation.shipped())
        seal.seal(part)
        part.rename(folder)
    except BaseException:
        for left in folder.parent.glob(f"{folder.name}.*{PART}"):
            shutil.rmtree(left, ignore_errors=True)
        raise


def has_gpu() -> bool:
    """Whether torch finds a CUDA GPU; torch is loaded only where a driver's device is there."""
    if not any(device.exists() for device in GPU_DEVICES):
        return False
    import torch

    return torch.cuda.is_available()


def load_encoder(settings: Settings) -> Encoder:
    """The encoder that the settings name.

    :raises ModelError: if it cannot be loaded; the message says what to change.
    """
    if settings.model == DEFAULT_MODEL:
        folder = prepare_default_model(settings.home)
        if has_gpu():
            # Under one name, since they agree but for the rounding: what a GPU has embedded is served without one.
            return SentenceTransformerEncoder(str(folder), e5.fingerprint(), GPU_BATCH)
        return OnnxEncoder(folder, e5.fingerprint(), settings.threads)
    return SentenceTransformerEncoder(settings.model)


class Embedder:
    """An encoder with its cache."""

    def __init__(self, encoder: Encoder, cache: VectorCache) -> None:
        self.encoder = encoder
        self._cache = cache

    @property
    def fingerprint(self) -> str:
        """Names the model and its weights; vectors of different fingerprints never meet."""
        return self.encoder.fingerprint

    @property
    def dimension(self) -> int:
        """Width of a vector."""
        return self.encoder.dimension

    def close(self) -> None:
        """Close the cache."""
        self._cache.close()

    def forget(self, texts: Iterable[str]) -> int:
        """Remove what the cache knows of texts; how many vectors that were."""
        return self._cache.forget(texts)

    def release(self) -> None:
        """Give back the memory that embedding takes, until the next text comes."""
        self.encoder.release()

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions: float32 (len(texts), dimension). Not cached: a question may be confidential."""
        return self.encoder.encode(texts, "query")

    def documents(self, texts: Sequence[str], progress: Progress | None = None, keep: bool = True) -> Vectors:
        """Embed records' texts, each distinct text once, across runs too.

        :param progress: is told (texts embedded, texts to embed); cached ones do not count.
        :param keep: whether new vectors go into the cache: not those of texts that are in no record.
        :returns: float32 (len(texts), dimension).
        """
        return self._cached(texts, "document", self.fingerprint, progress, keep)

    def stored_questions(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Embed records' texts as questions, cached as those of `documents` are."""
        model = self.fingerprint if self.encoder.symmetric else f"{self.fingerprint} query"
        return self._cached(texts, "query", model, progress, keep=True)

    def _cached(self, texts: Sequence[str], side: Side, model: str, progress: Progress | None, keep: bool) -> Vectors:
        hashes = [text_hash(text) for text in texts]
        kept = self._cache.get(model, list(dict.fromkeys(hashes)))
        # A damaged file may hold one cut short.
        known = {key: vector for key, vector in kept.items() if len(vector) == self.dimension}
        missing = {key: text for key, text in zip(hashes, texts, strict=True) if key not in known}
        # Longest first: the rate shown early is then the worst, and the remaining time an upper bound.
        order = sorted(missing, key=lambda key: len(missing[key]), reverse=True)
        for start in range(0, len(order), COMMIT_EVERY):
            part = order[start : start + COMMIT_EVERY]
            made = dict(zip(part, self.encoder.encode([missing[key] for key in part], side), strict=True))
            if keep:
                self._cache.put(model, made)
            known.update(made)
            if progress:
                progress(min(start + COMMIT_EVERY, len(order)), len(order))
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for row, key in enumerate(hashes):
            vectors[row] = known[key]
        return vectors
