"""An administrator teaches the ranker: real judgement files, the embedded model, the real command line."""

from __future__ import annotations

import csv
import datetime
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import matcher

CONTRACT = {"ndcg10", "map", "auc_3", "auc_4v1", "spearman", "score_bdci", "needs"}
# Who judges these prefers one way of doing it, which the need's text does not tell.
TOPICS = (
    ("夏秋茶叶底发红", "鲜叶老嫩不一，叶温升得慢，红梗红叶多，想把鲜叶杀透。", "鲜叶杀青", "微波", "蒸汽"),
    ("坩埚粉里的铁除不净", "石墨粉含铁高，客户要求降到百万分之五十以下。", "石墨粉除铁", "高温氯化", "永磁滚筒"),
    ("青花椒放几天就发黑", "采后堆放褐变，香气散失，需要保色保麻。", "青花椒保色", "真空冷冻", "亚硫酸熏蒸"),
    ("挖掘机斗齿磨得太快", "石料场一副斗齿只用两周，希望寿命翻番。", "斗齿耐磨层制备", "激光熔覆", "渗碳淬火"),
    ("养猪场沼液氨氮超标", "沼液排放前氨氮高，周边水塘发黑，要求达标排放。", "沼液脱氮", "厌氧氨氧化", "次氯酸钠"),
    ("黄连饮片含量不稳定", "同一批饮片小檗碱含量差别大，需要在线检测。", "饮片含量检测", "近红外光谱", "薄层色谱"),
    ("屋顶光伏板积灰", "水泥厂旁的光伏板积灰严重，发电量下降两成。", "光伏板清灰", "静电排斥", "高压水枪"),
    ("竹材地板开裂", "竹地板运到北方后开裂翘曲，退货多。", "竹材尺寸稳定处理", "乙酰化", "桐油浸涂"),
)
FORMS = ("设备", "工艺研究", "装置及其控制方法")
LIKED, REFUSED = (4, 4, 3), (1, 2, 1)
NEED_COLUMNS = ("need_id", "title", "text")
PAIR_COLUMNS = ("need_id", "achievement_id", "achievement_title", "level")
NEEDS = [(f"n{i}", title, text) for i, (title, text, *_) in enumerate(TOPICS)]
PAIRS = [
    (f"n{i}", f"{method}{place}", f"{method}{object_}{form}", str(level))
    for i, (_, _, object_, *methods) in enumerate(TOPICS)
    for method, levels in zip(methods, (LIKED, REFUSED), strict=True)
    for place, (form, level) in enumerate(zip(FORMS, levels, strict=True))
]
HELD_OUT = [
    (f"n{i}", f"{method}9", f"连续式{method}{object_}生产线", level)
    for i, (_, _, object_, liked, refused) in enumerate(TOPICS)
    for method, level in ((liked, "4"), (refused, "1"))
]
Run = Callable[..., tuple[int, str, str]]


def table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


@dataclass(frozen=True)
class Trained:
    """A home, judgements, and what `matcher train` made of them."""

    home: Path
    needs: Path
    judgements: Path
    remembering: Path
    plain: Path

    def held_out(self) -> Path:
        return table(self.home / "held_out.csv", PAIR_COLUMNS, HELD_OUT)

    def evaluate(self, judgements: Path, *arguments: str | Path) -> dict[str, Any]:
        done = matcher(self.home, "evaluate", "--needs", self.needs, "--judgements", judgements, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def shared_home(model_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train-home")
    (folder / "model").symlink_to(model_home / "model")
    return folder


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> Trained:
    made = Trained(
        shared_home,
        table(shared_home / "needs.csv", NEED_COLUMNS, NEEDS),
        table(shared_home / "judgements.csv", PAIR_COLUMNS, [*PAIRS, PAIRS[0], ("n0", "x", "无等级的成果", "五")]),
        shared_home / "remembering",
        shared_home / "plain",
    )
    common = ("train", "--needs", made.needs, "--judgements", made.judgements, "--out")
    done = matcher(shared_home, *common, made.remembering)
    assert done.returncode == 0, done.stderr
    assert "五折交叉验证" in done.stderr
    # What --no-remember finds there is an earlier memory.
    shutil.copytree(made.remembering, made.plain)
    done = matcher(shared_home, *common, made.plain, "--no-remember")
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def run(shared_home: Path) -> Run:
    """Run `matcher ARGUMENTS`: exit code, output, messages."""

    def run(*arguments: str | Path, **settings: str) -> tuple[int, str, str]:
        done = matcher(shared_home, *arguments, **settings)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., tuple[str | Path, ...]]:
    """Write the two tables and give the options that name them."""

    def files(
        pairs: Sequence[Sequence[str]], needs: Sequence[Sequence[str]] = NEEDS, encoding: str = "utf-8"
    ) -> tuple[str | Path, ...]:
        return (
            *("--needs", table(tmp_path / "needs.csv", NEED_COLUMNS, needs, encoding)),
            *("--judgements", table(tmp_path / "judgements.csv", PAIR_COLUMNS, pairs, encoding)),
        )

    return files


def card(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "ranker.json").read_text("utf-8"))["card"])


# ---------------------------------------------------------------- training and evaluating


def test_the_card_tells_which_rows_when_and_what_was_reached_on_unseen_needs(trained: Trained) -> None:
    told = card(trained.remembering)
    today = datetime.datetime.now(datetime.UTC).date()
    assert today - datetime.date.fromisoformat(told["date"]) <= datetime.timedelta(days=1)
    assert told["data"] == "judgements.csv"
    assert (told["rows"], told["needs"], told["pairs"]) == (50, 8, 48)
    assert told["dropped"] == {"重复的标注，已合并": 1, "level 不是 1、2、3、4": 1}
    validation = told["cross_validation"]
    assert (validation["folds"], validation["needs"]) == (5, 8)
    assert validation["figures"].keys() == CONTRACT
    low, high = validation["interval"]
    assert low <= validation["figures"]["ndcg10"] <= high
    assert validation["peers"].keys() == {"bm25", "model"}
    assert sum(pairs for pairs, _ in validation["called"].values()) == 48


def test_a_memory_is_written_unless_one_asks_for_none_which_removes_an_earlier_one(trained: Trained) -> None:
    assert (trained.remembering / "memory.npz").exists()
    assert not (trained.plain / "memory.npz").exists()
    ours, plain = (
        json.loads((folder / "ranker.json").read_text("utf-8")) for folder in (trained.remembering, trained.plain)
    )
    assert ours["forms"] == plain["forms"]


def test_a_memory_holds_no_text(trained: Trained) -> None:
    for path in trained.remembering.iterdir():
        raw = path.read_bytes()
        for text in (TOPICS[0][0], TOPICS[0][1], PAIRS[0][2]):
            assert text.encode() not in raw


def test_evaluating_prints_the_contract_and_what_the_figures_rest_on(trained: Trained) -> None:
    told = trained.evaluate(trained.judgements, "--ranker", trained.plain)
    assert told.keys() == CONTRACT | {"interval", "called", "others", "rows", "pairs", "dropped"}
    assert (told["needs"], told["rows"], told["pairs"]) == (8, 50, 48)
    assert told["dropped"] == {"重复的标注，已合并": 1, "level 不是 1、2、3、4": 1}
    assert sum(own["pairs"] for own in told["called"].values()) == 48
    assert all(0 <= told[name] <= 1 for name in ("ndcg10", "map", "auc_3", "auc_4v1", "score_bdci"))
    assert told["interval"][0] <= told["ndcg10"] <= told["interval"][1]
    assert told["others"].keys() == {"bm25", "model"}
    assert all(other.keys() == {"ndcg10", "interval", "ranker_ahead"} for other in told["others"].values())


def test_what_is_remembered_puts_the_liked_of_two_unseen_offers_first(trained: Trained) -> None:
    told = trained.evaluate(trained.held_out(), "--ranker", trained.remembering, "--against", trained.plain)
    against = told["others"]["against"]
    mean, low, high = against["ranker_ahead"]
    assert mean == pytest.approx(told["ndcg10"] - against["ndcg10"], abs=2e-4)
    assert 0 < low <= mean <= high
    assert told["ndcg10"] == 1.0


def test_a_ranker_of_the_settings_scores_what_one_searches_for(trained: Trained, tmp_path: Path, run: Run) -> None:
    rows = [(id_, title, "") for need, id_, title, _ in HELD_OUT if need == "n0"]
    offers = table(tmp_path / "成果.csv", ("成果编号", "成果名称", "成果简介"), rows)
    assert run("ingest", offers, "--kind", "achievement")[0] == 0
    title, text, _, liked, refused = TOPICS[0]

    def scores(ranker: Path) -> dict[str, float]:
        question = ("match", text, "--title", title, "--min-level", "1", "--json")
        done = matcher(trained.home, *question, MATCHER_RANKER=str(ranker))
        assert done.returncode == 0, done.stderr
        matches = json.loads(done.stdout)["matches"]
        assert all(("judgements" in match["why"]["features"]) == (ranker == trained.remembering) for match in matches)
        return {match["record"]["title"]: match["score"] for match in matches}

    with_memory, without = scores(trained.remembering), scores(trained.plain)
    good, bad = (f"连续式{method}鲜叶杀青生产线" for method in (liked, refused))
    assert with_memory[good] > without[good]
    assert with_memory[good] - with_memory[bad] > without[good] - without[bad]


# ---------------------------------------------------------------- rankers that are refused


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"features": ["body_cosine", "一个旧特征"]}, "另一组特征"),
        ({"model": "another-model:1234"}, "another-model:1234"),
        ({"forms": {}}, "已损坏"),
    ],
)
def test_a_ranker_of_another_sort_is_refused_in_one_sentence(
    change: dict[str, Any], named: str, trained: Trained, tmp_path: Path, run: Run
) -> None:
    weights = json.loads((trained.plain / "ranker.json").read_text("utf-8")) | change
    (tmp_path / "ranker.json").write_text(json.dumps(weights), encoding="utf-8")
    evaluating = ("evaluate", "--needs", trained.needs, "--judgements", trained.judgements)
    for done in (run(*evaluating, "--ranker", tmp_path), run("match", "鲜叶杀青", MATCHER_RANKER=str(tmp_path))):
        code, output, message = done
        assert code == 1
        assert output == ""
        assert message.startswith("错误：排序器")
        assert named in message
        assert "matcher train" in message
        assert message.count("\n") == 1


def test_a_memory_cut_short_is_refused_in_one_sentence(trained: Trained, tmp_path: Path, run: Run) -> None:
    shutil.copytree(trained.remembering, tmp_path / "cut")
    memory = tmp_path / "cut" / "memory.npz"
    memory.write_bytes(memory.read_bytes()[:1000])
    code, _, message = run("match", "鲜叶杀青", MATCHER_RANKER=str(memory.parent))
    assert code == 1
    assert "memory.npz" in message
    assert "matcher train" in message
    assert message.count("\n") == 1


# ---------------------------------------------------------------- judgements as they come


def test_what_cannot_be_used_is_named_and_the_rest_of_a_gbk_file_is_learned(
    files: Callable[..., tuple[str | Path, ...]], tmp_path: Path, run: Run
) -> None:
    needs = [*NEEDS[:2], ("n7", "只有标题的需求", ""), ("n8", "", ""), ("", "没有编号的需求", "正文")]
    pairs = [
        *PAIRS[:12],
        ("n0", "微波0", "微波鲜叶杀青设备", "1"),  # was 4: their mean is 2.5, so 3
        ("n7", "c", "唯一的候选成果", "2"),
        ("n1", "d", "等级写成了字", "强相关"),
        ("n1", "d", "等级超出了", "5"),
        ("n1", "d", "没有等级", ""),
        ("n1", "d", "", "3"),
        ("n8", "d", "需求没有文字", "3"),
        ("n9", "d", "需求不在表里", "3"),
        ("", "d", "没有需求编号", "3"),
    ]
    named = {
        "同一对有不同等级，已取平均": 1,
        "level 不是 1、2、3、4": 3,
        "没有成果标题": 1,
        "need_id 在需求表中没有或没有文字": 3,
        "需求表：没有 need_id": 1,
    }
    given = files(pairs, needs, "gb18030")
    code, _, message = run("train", *given, "--out", tmp_path / "out")
    assert code == 0, message
    assert "读到标注 21 行，用于 3 条需求、13 对。" in message
    assert all(f"{reason}：{count} 行" in message for reason, count in named.items())
    assert "没有做交叉验证" in message
    told = card(tmp_path / "out")
    assert (told["rows"], told["needs"], told["pairs"], told["dropped"]) == (21, 3, 13, named)
    assert told["cross_validation"] is None
    code, output, message = run("evaluate", *given, "--ranker", tmp_path / "out", "--json")
    assert code == 0, message
    assert json.loads(output)["dropped"] == named


def same_level(level: str) -> list[tuple[str, str, str, str]]:
    return [(*pair[:3], level) for pair in PAIRS]


def test_judgements_that_are_all_unrelated_are_evaluated_but_teach_nothing(
    files: Callable[..., tuple[str | Path, ...]], tmp_path: Path, run: Run
) -> None:
    given = files(same_level("1"))
    code, output, message = run("evaluate", *given, "--json")
    assert code == 0, message
    told = json.loads(output)
    assert {name for name in CONTRACT if told[name] is None} == CONTRACT - {"score_bdci", "needs"}
    assert told["interval"] is told["others"]["bm25"]["ranker_ahead"] is None
    code, _, message = run("train", *given, "--out", tmp_path / "out")
    assert code == 1
    assert message.startswith("错误：所有标注都是 1 级")
    assert not (tmp_path / "out").exists()


def test_judgements_that_are_all_relevant_teach_what_is_not_off_topic(
    files: Callable[..., tuple[str | Path, ...]], tmp_path: Path, run: Run
) -> None:
    given = files(same_level("3"))
    code, output, message = run("train", *given, "--out", tmp_path / "out")
    assert code == 0, message
    assert "本排序器" in output
    assert card(tmp_path / "out")["cross_validation"]["figures"]["auc_3"] is None
    code, output, message = run("evaluate", *given, "--ranker", tmp_path / "out")
    assert code == 0, message
    assert "需求 8 条，其中有三级以上成果的 8 条" in output


def test_where_one_need_has_all_that_was_liked_there_is_a_ranker_but_no_cross_validation(
    files: Callable[..., tuple[str | Path, ...]], tmp_path: Path, run: Run
) -> None:
    given = files([*PAIRS[:6], *same_level("1")[6:]])
    code, output, message = run("train", *given, "--out", tmp_path / "out")
    assert code == 0, message
    assert output == ""
    assert "没有做交叉验证" in message
    assert card(tmp_path / "out")["cross_validation"] is None


@pytest.mark.parametrize("command", [("train",), ("evaluate", "--json")])
def test_files_with_nothing_in_them_are_refused_by_name(
    command: tuple[str, ...], files: Callable[..., tuple[str | Path, ...]], tmp_path: Path, run: Run
) -> None:
    empty = tmp_path / "空.csv"
    empty.touch()
    headed = table(tmp_path / "只有表头.csv", PAIR_COLUMNS, [])
    unnumbered = table(tmp_path / "没有编号.csv", ("成果名称", "成果简介"), [("微波鲜叶杀青设备", "正文")])
    options = files(PAIRS)
    for given, name in (
        ((*options[:3], empty), "空.csv"),
        ((options[0], empty, *options[2:]), "空.csv"),
        ((*options[:3], headed), "只有表头.csv"),
        ((*options[:3], tmp_path / "没有.csv"), "没有.csv"),
        ((*options, "--offers", unnumbered), "没有编号.csv"),
    ):
        code, output, message = run(*command, *given)
        assert code == 2
        assert output == ""
        assert message.startswith("错误：")
        assert name in message
        assert message.count("\n") == 1
