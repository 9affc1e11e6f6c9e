"""The commands that measure and train the ranking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matcher.console import JsonFlag, opened, print_json, say

if TYPE_CHECKING:
    from matcher.judgements import Judgements


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (evaluate, train):
        app.command()(command)


def evaluate(
    needs: Annotated[Path | None, typer.Option("--needs", help="需求表：need_id,title,text；缺省为样例语料")] = None,
    judgements: Annotated[
        Path | None,
        typer.Option("--judgements", help="标注表：need_id,achievement_id,achievement_title,level"),
    ] = None,
    offers: Annotated[
        list[Path] | None, typer.Option("--offers", help="成果或专利表，按 achievement_id 提供正文，可重复")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="只用标注表 split 列为该值的行")] = None,
    ranker: Annotated[Path | None, typer.Option("--ranker", help="matcher train 写出的目录；缺省为当前排序器")] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="另一个 matcher train 目录，逐条需求配对比较")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """按人工标注评估排序质量，并与 BM25、单独使用模型对比。"""
    from matcher.evaluate import evaluate as run
    from matcher.judgements import ask_tagged, build_pool
    from matcher.progress import shown
    from matcher.rank import Ranker
    from matcher.views import evaluation_json

    with opened() as matcher, shown("嵌入") as progress:
        chosen = Ranker.load(ranker, matcher.embedder.fingerprint) if ranker else matcher.ranker
        other = Ranker.load(against, matcher.embedder.fingerprint) if against else None
        judged = _judgements(needs, judgements, offers, split)
        parts = (matcher.embedder, matcher.tokenizer, matcher.tagger)
        pool = build_pool(judged.offers, *parts, progress)
        questions = [ask_tagged(*parts, need.title, need.text) for need in judged.needs]
        results = run(judged, questions, pool, chosen, matcher.tokenizer)
        if other:
            results["against"] = run(judged, questions, pool, other, matcher.tokenizer)["ranker"]
    if as_json:
        print_json(evaluation_json(results, judged))
    else:
        from matcher.terminal import print_evaluation

        _say_dropped(judged)
        print_evaluation(results)


def train(
    needs: Annotated[
        Path | None, typer.Option("--needs", help="需求表：need_id,title,text；缺省用平台上的标注")
    ] = None,
    judgements: Annotated[
        Path | None,
        typer.Option("--judgements", help="标注表：need_id,achievement_id,achievement_title,level"),
    ] = None,
    offers: Annotated[
        list[Path] | None, typer.Option("--offers", help="成果或专利表，按 achievement_id 提供正文，可重复")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="只用标注表 split 列为该值的行")] = None,
    remember: Annotated[
        bool, typer.Option("--remember/--no-remember", help="是否记住每条需求已有的标注，用于它的其他成果")
    ] = True,
    out: Annotated[Path, typer.Option("--out", help="写入该目录")] = Path("ranker"),
) -> None:
    """用本平台的人工标注训练排序器；用 MATCHER_RANKER 或 --ranker 加载。"""
    from matcher import defaults, training
    from matcher.memory import Memory
    from matcher.own_judgements import own_judgements
    from matcher.progress import shown
    from matcher.rank import Ranker
    from matcher.terminal import print_evaluation
    from matcher.validate import cross_validate

    if needs is None and judgements is None and (offers or split):
        raise typer.BadParameter("--offers 和 --split 只与 --needs、--judgements 一起使用")
    with opened() as matcher, shown("嵌入") as progress:
        if needs is None and judgements is None:
            judged = own_judgements(matcher.store, matcher.judgements)
        else:
            judged = _judgements(needs, judgements, offers, split)
        material = defaults.material(judged, matcher.embedder, matcher.tokenizer, matcher.tagger, progress)
        data = f"{judgements.name}{f', split {split}' if split else ''}" if judgements else "平台上的标注"
        weights = training.fit_ranker(material, matcher.embedder.fingerprint, data, matcher.ranker.weights)
        validation = cross_validate(material, judged, matcher.tokenizer)
        weights["card"] = training.card(judged, data, validation.card() if validation else None)
        Memory.remove(out)  # first: an earlier memory must never stand beside a new ranker
        training.save(weights, out / "ranker.json")
        if remember:
            training.learn_memory(material, Ranker(weights)).save(out)
    _say_dropped(judged)
    if validation:
        say("五折交叉验证（按需求分组，每条需求都由未见过它的排序器排序）：")
        print_evaluation(validation.results)
    else:
        say("需求不足 5 条，或高于 1 级的标注集中在少数几条需求里，没有做交叉验证。")
    say(f"排序器已写入 {out}。用 MATCHER_RANKER={out} 加载，用 matcher evaluate --ranker {out} 检验。")


def _judgements(
    needs: Path | None, judgements: Path | None, offers: list[Path] | None, split: str | None
) -> Judgements:
    from matcher import sample
    from matcher.judgements import read_judgements

    if (needs is None) != (judgements is None):
        raise typer.BadParameter("--needs 和 --judgements 须一起给出，或都不给（用样例语料）")
    if needs is None or judgements is None:
        offers = [sample.path(name) for kind, name in sample.FILES if kind in ("achievement", "patent")]
        return read_judgements(sample.path("needs.csv"), sample.path("judgements.csv"), offers, split)
    return read_judgements(needs, judgements, offers or [], split)


def _say_dropped(judged: Judgements) -> None:
    say(f"读到标注 {judged.rows} 行，用于 {len(judged.needs)} 条需求、{judged.pairs} 对。")
    for reason, count in judged.dropped.items():
        say(f"  {reason}：{count} 行")
