"""Which tagger and ranker an installation uses: its own, the shipped ones, or ones fitted on the spot.

The shipped weights are for the embedded model. Another model plugs in by MATCHER_MODEL alone: its
weights are then fitted once on the sample corpus and kept in MATCHER_HOME. They are a start;
``matcher train`` on a platform's own judgements makes better ones.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

from matcher import sample, training
from matcher.embed import Embedder, Progress
from matcher.features import FEATURES
from matcher.judgements import Judgements, Offer, ask_tagged, build_pool, read_judgements
from matcher.programs import EVIDENCE, FILINGS, Evidence, Tagger, read_arrays
from matcher.rank import Ranker
from matcher.records import OFFER_KINDS, Record
from matcher.settings import Settings
from matcher.tagging import fit_tagger, save_tagger
from matcher.text import Tokenizer
from matcher.training import Material


def load_tagger(settings: Settings, embedder: Embedder, tokenizer: Tokenizer) -> Tagger:
    """The tagger for this model.

    :raises RankerMismatch: if MATCHER_RANKER holds one for another model.
    """
    if settings.ranker and (settings.ranker / "tagger.npz").exists():
        return Tagger.load(settings.ranker / "tagger.npz", embedder, tokenizer)
    path = _weights(settings, embedder, "tagger.npz") / "tagger.npz"
    if not path.exists():
        texts, labels, mean = sample.tagged_texts(sample_labelled(), embedder, tokenizer)
        evidence = Evidence(embedder, tokenizer, mean)
        save_tagger(fit_tagger(texts, labels, evidence, embedder.fingerprint, "corpus/"), path)
    return Tagger.load(path, embedder, tokenizer)


def load_ranker(settings: Settings, embedder: Embedder, tokenizer: Tokenizer, tagger: Tagger) -> Ranker:
    """The ranker that the settings name, or the one for this model.

    :raises RankerMismatch: if MATCHER_RANKER was made for another model or other features.
    """
    if settings.ranker:
        return Ranker.load(settings.ranker, embedder.fingerprint)
    folder = _weights(settings, embedder, "ranker.json")
    if not (folder / "ranker.json").exists():
        weights = fit_on_sample(embedder, tokenizer, tagger)
        training.save(weights, folder / "ranker.json")
    return Ranker.load(folder, embedder.fingerprint)


def fit_on_sample(embedder: Embedder, tokenizer: Tokenizer, tagger: Tagger) -> dict[str, Any]:
    """A ranker learned from one half of the sample corpus' judgements; the other half is for checking."""
    offers = [sample.path(name) for kind, name in sample.FILES if kind in OFFER_KINDS]
    judged = read_judgements(sample.path("needs.csv"), sample.path("judgements.csv"), offers, split="train")
    learned_from = material(judged, embedder, tokenizer, tagger)
    return training.fit_ranker(learned_from, embedder.fingerprint, "corpus/judgements.csv, split train")


def material(
    judged: Judgements,
    embedder: Embedder,
    tokenizer: Tokenizer,
    tagger: Tagger,
    progress: Progress | None = None,
) -> Material:
    """Embed and tag judgements; the texts that nothing fits are the sample corpus'."""
    parts = (embedder, tokenizer, tagger)
    pools = {"titled": build_pool([Offer(offer.title) for offer in judged.offers], *parts, progress)}
    if any(offer.abstract for offer in judged.offers):
        pools["full"] = build_pool(judged.offers, *parts, progress)
    return Material(
        judged.needs,
        [ask_tagged(*parts, need.title, need.text) for need in judged.needs],
        [ask_tagged(*parts, "", text) for text in sample.off_topic("train")],
        pools,
    )


def sample_labelled() -> list[Record]:
    """The sample corpus' records whose programmes are known."""
    return [record for kind, _ in sample.FILES if kind != "institution" for record in sample.records(kind)]


def _weights(settings: Settings, embedder: Embedder, name: str) -> Path:
    """The folder of a file of weights: the shipped one if that was made for this model, else one in the home.

    Each file for itself: a ranker is fitted anew with the tagger that it will meet.
    """
    shipped = Path(str(resources.files("matcher") / "weights"))
    if (shipped / name).exists() and _made_for(shipped / name) == embedder.fingerprint:
        return shipped
    # Another version of the program may look at other features.
    looked_at = hashlib.sha256(repr((FEATURES, EVIDENCE, FILINGS)).encode()).hexdigest()[:8]
    return settings.home / "model" / f"weights-{embedder.fingerprint.replace(':', '-')}-{looked_at}"


def _made_for(path: Path) -> str:
    if path.suffix == ".npz":
        return str(read_arrays(path)["model"])
    return str(json.loads(path.read_text("utf-8"))["model"])
