"""Fits the score by which two records are told to be one thing, and measures what its thresholds are worth.

    python bench/duplicates.py [--data DIR] [--fit] [--show]

Over the real patents in DIR (``patents/patents.jsonl``) if it is given, over the sample corpus otherwise. The
records are split in two by their id: the one half fits, the other measures.

Duplicates are made out of single records, as the same invention comes twice: the publication of the application
and of the grant (`publication`), another platform's edition (`edited`, `paraphrased`, `cut`, `written`) and figures
written otherwise (`figures`). What must not be merged is real as far as possible: each record's nearest others
in the collection (`neighbour`), which have a title or an owner in common more often than not; besides, made of
real ones, the title of one over the text of another of the same company (`namesake`), a method beside its
device (`sibling`), a further application under the same title (`variant`), a machine of another size (`size`), the
process for another material (`material`), and the
same title by another institution (`homonym`).

--fit writes ``matcher/weights/duplicates.json``; --show prints the pairs of real records above the thresholds, for
somebody to read: what is real and above them may well be a duplicate that the collection came with.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import random
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from matcher import sample
from matcher.likeness import FEATURES, Face, compare, evidence, face_of, measures, nearly_one, weights
from matcher.quantities import quantities, without_part_numbers
from matcher.records import OFFER_KINDS, Patent, Record
from matcher.text import char_ngrams, normalize

WEIGHTS = Path(__file__).parents[1] / "matcher" / "weights" / "duplicates.json"
NEIGHBOURS = 5
# Chosen: of a thousand pairs of one made sort that are none, at most so many may be merged without asking.
MISTAKEN = 0.002
# Measures that speak against a pair.
AGAINST = ("category", "figures", "other_owner")
PENALTY = 1e-5
# Chosen: of each sort of duplicates this share may go unseen.
MISSED = 0.02
CLAUSE = re.compile(r"(?<=[，。；;,])")
SYNONYMS = {
    "本发明": "该技术",
    "所述": "",
    "采用": "使用",
    "包括": "包含",
    "能够": "可以",
    "提高": "提升",
    "降低": "减小",
    "设置": "布置",
    "用于": "用来",
    "从而": "由此",
    "具有": "拥有",
    "进行": "开展",
    "其中": "当中",
    "连接": "相连",
    "通过": "借助",
}
UNITS = {"kg": "公斤", "mm": "毫米", "cm": "厘米", "kW": "千瓦", "MPa": "兆帕", "mL": "毫升", "%": "百分之"}


@dataclass(frozen=True)
class Pair:
    """Two records, whether they are one thing, and how the pair came about."""

    first: Record
    second: Record
    same: bool
    sort: str

    @property
    def half(self) -> int:
        """0 fits, 1 measures."""
        return zlib.crc32(self.first.source_id.encode()) % 2


def main() -> None:
    """Make the pairs, fit if asked to, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--limit", type=int, default=1500, help="records that copies are made of")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    records = real(options.data) if options.data else samples()
    pairs = make_pairs(records, options.limit, random.Random(5))
    faces = {id(one): face_of(one) for pair in pairs for one in (pair.first, pair.second)}
    print(f"{len(records)} records, {len(pairs)} pairs, {sum(pair.same for pair in pairs)} of them duplicates")
    if options.fit:
        fit(
            [pair for pair in pairs if pair.half == 0],
            faces,
            f"{len(records)} public patents" if options.data else "the sample corpus",
        )
    report([pair for pair in pairs if pair.half == 1], faces)
    if options.show:
        show(pairs, faces)


def real(data: Path) -> list[Record]:
    """The public patents."""
    lines = (data / "patents" / "patents.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        Patent(source="p", source_id=r["id"], title=r["title"], abstract=r["abstract"], institution=r["assignee"])
        for r in rows
    ]


def samples() -> list[Record]:
    """The sample corpus' offers and needs."""
    return [record for kind in (*OFFER_KINDS, "need") for record in sample.records(kind) if record.abstract]


def make_pairs(records: Sequence[Record], limit: int, chance: random.Random) -> list[Pair]:
    """Duplicates of each sort, and pairs that are none."""
    near = neighbours(records)
    pairs = [
        Pair(record, records[other], False, "neighbour")
        for place, record in enumerate(records)
        for other in near[place]
        if record.kind == records[other].kind
    ]
    for place, record in enumerate(records[:limit]):
        nearest = [records[other] for other in near[place]]
        for sort, make in SAME.items():
            made = make(record, chance)
            if made:
                pairs.append(Pair(record, made, True, sort))
        for sort, unlike in OTHER.items():
            made = unlike(record, nearest[0], chance)
            if made:
                pairs.append(Pair(record, made, False, sort))
    return pairs


def neighbours(records: Sequence[Record]) -> list[list[int]]:
    """For each record its nearest others by character n-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer=char_ngrams, max_df=0.2, dtype=np.float32)
    matrix = vectorizer.fit_transform([normalize(f"{r.title}\n{r.title}\n{r.abstract}") for r in records])
    found = []
    for start in range(0, len(records), 256):
        scores = (matrix[start : start + 256] @ matrix.T).toarray()
        scores[np.arange(len(scores)), np.arange(start, start + len(scores))] = -1
        found += np.argsort(-scores, axis=1)[:, :NEIGHBOURS].tolist()
    return found


# ---------------------------------------------------------------- one thing twice


def publication(record: Record, chance: random.Random) -> Record | None:
    """The grant beside the application: another opening, part numbers gone or come, a clause less or more."""
    if record.kind != "patent":
        return None
    body = without_part_numbers(record.abstract)
    if body == record.abstract:
        body = re.sub(r"(?<=[板件器架体管箱])(?=[，、。])", lambda _: f"({chance.randint(1, 40)})", body)
    body = re.sub(r"公开了|提供了?|涉及", chance.choice(["公开了", "提供", "涉及"]), body, count=1)
    clauses = CLAUSE.split(body)
    if len(clauses) > 5:
        del clauses[chance.randrange(2, len(clauses))]
    title = re.sub(r"及其(?:制备|使用|控制|制造)?方法$", "", record.title) if chance.random() < 0.3 else record.title
    return replace(record, source="q", title=title, abstract="".join(clauses))


def edited(record: Record, chance: random.Random) -> Record | None:
    """Another platform's edition: clauses dropped, sentences moved, a sentence of its own, perhaps no owner."""
    sentences = re.split(r"(?<=[。；])", record.abstract)
    if len(sentences) > 2:
        sentences.append(sentences.pop(0))
    clauses = [clause for clause in CLAUSE.split("".join(sentences)) if chance.random() > 0.2]
    body = "".join(clauses) + chance.choice(
        ["该成果已在多家企业应用。", "欢迎洽谈合作。", "技术成熟，可规模化生产。", ""]
    )
    return replace(record, source="q", title=shorter(record.title), abstract=body, institution=owner(record, chance))


def paraphrased(record: Record, chance: random.Random) -> Record | None:
    """Words exchanged for others that mean the same, and some clauses dropped."""
    body = record.abstract
    for word, other in SYNONYMS.items():
        body = body.replace(word, other)
    clauses = [clause for clause in CLAUSE.split(body) if chance.random() > 0.1]
    return replace(record, source="q", abstract="".join(clauses), institution=owner(record, chance))


def cut(record: Record, chance: random.Random) -> Record | None:
    """Only the beginning, as lists show it."""
    length = chance.randint(90, 180)
    if len(record.abstract) < length + 20:
        return None
    body = record.abstract[:length] + "…"
    return replace(record, source="q", title=shorter(record.title), abstract=body, institution=owner(record, chance))


def written(record: Record, chance: random.Random) -> Record | None:
    """Full-width marks, other punctuation, traditional characters."""
    body = record.abstract.replace("，", ",").replace("；", ";").replace("%", "％")
    if chance.random() < 0.5:
        body = traditional(body)
    return replace(record, source="q", title=f" {record.title}。", abstract=body, institution=owner(record, chance))


def figures(record: Record, chance: random.Random) -> Record | None:
    """Figures written as Chinese numerals, and units as words."""
    text = without_part_numbers(record.abstract)
    if not quantities(normalize(text)):
        return None

    def spell(match: re.Match[str]) -> str:
        number, unit = match[1], match[2] or ""
        han = numeral(number)
        return f"百分之{han}" if unit == "%" else f"{han}{UNITS.get(unit, unit)}"

    body = re.sub(r"(?<![A-Za-z0-9.])(\d{1,4}(?:\.\d{1,2})?)\s?(kg|mm|cm|kW|MPa|mL|%)?(?![A-Za-z0-9.])", spell, text)
    return replace(record, source="q", abstract=body, institution=owner(record, chance)) if body != text else None


SAME: dict[str, Callable[[Record, random.Random], Record | None]] = {
    "publication": publication,
    "edited": edited,
    "paraphrased": paraphrased,
    "cut": cut,
    "written": written,
    "figures": figures,
}


# ---------------------------------------------------------------- two things alike


def namesake(record: Record, other: Record, chance: random.Random) -> Record | None:
    """The title over another text, by the same company: series of patents are called alike."""
    return replace(record, source="q", abstract=other.abstract)


def homonym(record: Record, other: Record, chance: random.Random) -> Record | None:
    """The title over another text, by another institution."""
    if other.institution == record.institution:
        return None
    return replace(record, source="q", abstract=other.abstract, institution=other.institution)


def sibling(record: Record, other: Record, chance: random.Random) -> Record | None:
    """The method beside its device: half of the text is the same."""
    if re.search(r"方法|工艺", record.title):
        title = re.sub(r"(?:制备)?(?:方法|工艺)", "装置", record.title)
    else:
        title = re.sub(r"(?:装置|设备|系统|结构|机)$", "", record.title) + "的控制方法"
    mine, others = CLAUSE.split(record.abstract), CLAUSE.split(other.abstract)
    share = chance.uniform(0.3, 0.6)
    body = [a if chance.random() < share else b for a, b in zip(mine, [*others, *others], strict=False)]
    return replace(record, source="q", title=title, abstract="".join(body))


def variant(record: Record, other: Record, chance: random.Random) -> Record | None:
    """A further application under the same title: some clauses are others."""
    clauses = CLAUSE.split(record.abstract)
    others = [one for one in CLAUSE.split(other.abstract) if len(one) >= 8 and one not in record.abstract]
    places = [place for place, clause in enumerate(clauses) if len(clause) >= 8 and not clause.startswith("本")]
    if len(places) < 4 or not others:
        return None
    for place in chance.sample(places, chance.randint(1, 3)):
        clauses[place] = chance.choice(others)
    return replace(record, source="q", abstract="".join(clauses))


def size(record: Record, other: Record, chance: random.Random) -> Record | None:
    """The same machine of another size: all of the text is the same, the figures are not."""
    text = without_part_numbers(record.abstract)
    factor = chance.choice([2, 3, 5, 1.5])

    def change(match: re.Match[str]) -> str:
        return f"{float(match[0]) * factor:.6g}"

    body = re.sub(r"(?<![A-Za-z0-9.])\d{1,6}(?:\.\d{1,3})?(?![A-Za-z0-9.])", change, text)
    if not quantities(normalize(text)) or quantities(normalize(text)) & quantities(normalize(body)):
        return None
    return replace(record, source="q", abstract=body)


def material(record: Record, other: Record, chance: random.Random) -> Record | None:
    """The same process for another thing: the word that title and text have most in common is another's."""
    mine, theirs = (subject(one) for one in (record, other))
    if not mine or not theirs or mine == theirs:
        return None
    title, body = record.title.replace(mine, theirs), record.abstract.replace(mine, theirs)
    return replace(record, source="q", title=title, abstract=body)


OTHER: dict[str, Callable[[Record, Record, random.Random], Record | None]] = {
    "namesake": namesake,
    "homonym": homonym,
    "sibling": sibling,
    "variant": variant,
    "size": size,
    "material": material,
}


# ---------------------------------------------------------------- parts


def traditional(text: str) -> str:
    """The text in traditional characters."""
    return str(_converter().convert(text))


@functools.cache
def _converter() -> Any:
    import opencc

    return opencc.OpenCC("s2t")


def subject(record: Record) -> str | None:
    """The word of the title that the text repeats most, three characters long."""
    title = re.sub(r"^一种|(?:方法|装置|设备|系统|工艺)$", "", record.title)
    words = [title[at : at + 3] for at in range(len(title) - 2)]
    counts = {word: record.abstract.count(word) for word in words if re.fullmatch(r"[一-鿕]{3}", word)}
    best = max(counts, key=lambda word: counts[word], default=None)
    return best if best and counts[best] >= 2 else None


def shorter(title: str) -> str:
    """A title as lists shorten it."""
    return re.sub(r"^一种", "", title)


def owner(record: Record, chance: random.Random) -> str | None:
    """The owner as another source knows it: written the same, cut short, or not at all."""
    if not record.institution or chance.random() < 0.3:
        return None
    return re.sub(r"(?:股份)?有限公司$", "", record.institution) if chance.random() < 0.3 else record.institution


def numeral(number: str) -> str:
    """A number below ten thousand in Chinese."""
    digits = "零一二三四五六七八九"
    whole, _, fraction = number.partition(".")
    parts, zero = "", False
    for place, character in zip(range(len(whole) - 1, -1, -1), whole, strict=True):
        if character == "0":
            zero = bool(parts)
            continue
        parts += ("零" if zero else "") + digits[int(character)] + ("", "十", "百", "千")[place]
        zero = False
    spelled = parts or "零"
    return spelled + ("点" + "".join(digits[int(c)] for c in fraction) if fraction else "")


# ---------------------------------------------------------------- fitting and measuring


def fit(pairs: Sequence[Pair], faces: dict[int, Face], data: str) -> None:
    """Fit the weights, each sort weighing the same within its class, and choose the automatic threshold.

    Signs are held: copies lose their owner more often than siblings do, and that must not speak for a copy.
    """
    from scipy.optimize import minimize

    full = [p for p in pairs if faces[id(p.first)].body and faces[id(p.second)].body]
    rows = [measures(faces[id(p.first)], faces[id(p.second)]) for p in full]
    whole = np.array([nearly_one(row) for row in rows])
    matrix = np.array([[*evidence(row), 1.0] for row in rows])
    same, sorts = np.array([p.same for p in full]), np.array([p.sort for p in full])
    weight = np.array([1 / (sorts == sort).sum() for sort in sorts])
    for own in (same, ~same):
        weight[own] /= weight[own].sum()

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        logits = matrix @ values
        costs = np.logaddexp(0, np.where(same, -logits, logits))
        slopes = matrix.T @ (weight * (1 / (1 + np.exp(-logits)) - same))
        ridge = PENALTY * np.append(values[:-1], 0)
        return float((weight * costs).sum() + ridge @ values / 2), slopes + ridge

    bounds = [(None, 0) if name in AGAINST else (0, None) for name in FEATURES]
    found = minimize(loss, np.zeros(matrix.shape[1]), jac=True, bounds=[*bounds, (None, None)], method="L-BFGS-B").x
    scores = 1 / (1 + np.exp(-matrix @ found))
    card = {
        "coefficients": dict(zip(FEATURES, np.round(found[:-1], 4).tolist(), strict=True)),
        "intercept": round(float(found[-1]), 4),
        "automatic": threshold(scores[whole], sorts[whole]),
        "proposed": round(min(float(np.quantile(scores[sorts == sort], MISSED)) for sort in SAME if sort in sorts), 4),
        "card": f"fitted by bench/duplicates.py on {len(full)} pairs, {int(same.sum())} of them duplicates, "
        f"made of one half of {data}",
    }
    WEIGHTS.write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    weights.cache_clear()


def threshold(scores: np.ndarray, sorts: np.ndarray) -> float:
    """The lowest score that no real pair with whole texts reaches, and of every made sort of unlike pairs few enough.

    How common siblings are in somebody's collection is not known, so each sort counts alone.
    """
    least = scores[sorts == "neighbour"].max()
    for sort in OTHER:
        own = scores[sorts == sort]
        if len(own):
            least = max(least, np.quantile(own, 1 - MISTAKEN, method="higher"))
    return float(math.ceil(least * 10_000 + 1) / 10_000)


def report(pairs: Sequence[Pair], faces: dict[int, Face]) -> None:
    """Counts by sort, and precision at both thresholds."""
    own = weights()
    scored = [(pair, compare(faces[id(pair.first)], faces[id(pair.second)])) for pair in pairs]
    for name, least in (("automatic", own.automatic), ("proposed", own.proposed)):
        above = Counter(
            pair.sort for pair, like in scored if like.score >= least and (like.mergeable or name == "proposed")
        )
        total = Counter(pair.sort for pair in pairs)
        right = sum(above[sort] for sort in SAME)
        wrong = sum(above[sort] for sort in ("neighbour", *OTHER))
        print(f"\n{name}, from {least}: {right + wrong} pairs, {right} of them duplicates, ", end="")
        print(f"precision {right / max(1, right + wrong):.4f}")
        for sort in (*SAME, "neighbour", *OTHER):
            print(f"  {'same' if sort in SAME else 'other':6}{sort:13}{above[sort]:6} of {total[sort]}")


def show(pairs: Iterable[Pair], faces: dict[int, Face]) -> None:
    """Real pairs above the thresholds, the likest first."""
    seen: dict[tuple[str, ...], tuple[float, Pair, str]] = {}
    for pair in pairs:
        if pair.sort == "neighbour":
            like = compare(faces[id(pair.first)], faces[id(pair.second)])
            if like.score >= weights().proposed:
                key = tuple(sorted((pair.first.source_id, pair.second.source_id)))
                seen[key] = (like.score, pair, like.why)
    for score, pair, why in sorted(seen.values(), key=lambda item: -item[0]):
        print(f"\n{score:.4f} {why}")
        for one in (pair.first, pair.second):
            print(f"  {one.institution} · {one.title}\n    {one.abstract[:300]}")


if __name__ == "__main__":
    main()
