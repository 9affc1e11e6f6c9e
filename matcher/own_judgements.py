"""The judgements that a platform's people made over the API, as `matcher train` learns from them."""

from __future__ import annotations

from collections import Counter

from matcher.errors import UntrainableJudgements
from matcher.judged import JudgementBook
from matcher.judgements import Judgements, NeedText, Offer, assembled
from matcher.redaction import indexed
from matcher.store import Store


def own_judgements(store: Store, book: JudgementBook) -> Judgements:
    """The store's judgements: one level a pair, in the middle of what people gave.

    Texts are those that are indexed, without telephone numbers and without names that are hidden. What has been
    withdrawn since is left out; what has ended taught its lesson and stays.

    :raises UntrainableJudgements: if there are none to learn from.
    """
    agreed = book.agreed()
    records = store.by_id(sorted({id_ for pair in agreed for id_ in pair}))
    texts = {
        id_: ((text := indexed(stored.record)).title, text.abstract)
        for id_, stored in records.items()
        if not stored.withdrawn
    }
    dropped: Counter[str] = Counter()
    levels: dict[NeedText, dict[Offer, Counter[int]]] = {}
    ids: dict[NeedText, dict[str, None]] = {}
    for (need, offer), level in agreed.items():
        if need not in texts or offer not in texts:
            dropped["需求、成果或专利已撤回"] += 1
            continue
        levels.setdefault(texts[need], {}).setdefault(Offer(*texts[offer]), Counter())[level] += 1
        ids.setdefault(texts[need], {})[need] = None
    if not levels:
        raise UntrainableJudgements(
            "平台上还没有可用的标注。请先由中介通过 POST /v1/judgements 标注，或用 --needs 和 --judgements 指明标注表。"
        )
    return assembled(levels, ids, dropped, len(agreed))
