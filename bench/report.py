"""Results as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from goals import goals
from quiet import DISTURBED

Results = Mapping[str, Any]
# The order of a match's steps in tables and plot.
STEPS = ("model", "words", "tag", "recall", "rank", "fetch", "fold", "explain", "json")


def tables(results: Results) -> str:
    """Everything as text."""
    machine, made_of, load = results["machine"], results["made_of"], results["load_average"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}; load average "
        f"{load['start']:.1f} at the start, {load['end']:.1f} at the end",
        f"Offers are synthetic: words of {made_of['records']} real ones ({made_of['data']}) recombined, noise around "
        f"their vectors by {made_of['model']}. The figures tell of speed, not of quality.",
        *_matches(results),
        *_steps(results),
        *_index(results),
        *_service(results),
        *_rates(results),
        *_peers(results),
        *_disturbed(results),
        "",
        *_columns(
            ("goal", "measured", "bound", "met"), ((g.name, g.measured, g.bound, g.verdict) for g in goals(results))
        ),
    ]
    return "\n".join(lines)


def _sizes(results: Results) -> Iterable[tuple[str, Any]]:
    for size, own in results["sizes"].items():
        yield f"{int(size):,}", own


def _matches(results: Results) -> list[str]:
    head = (
        "one match, ms",
        "threads",
        "questions",
        "chars",
        "p50",
        "p95",
        "p99",
        "model",
        "rest",
        "rest 95",
        "ratio",
        "ratio 95",
    )
    rows = []
    for size, own in _sizes(results):
        for threads, sets in own["match"].items():
            for name, f in sets.items():
                whole, rest, ratio = f["steps_ms"]["whole"], f["rest_ms"], f["ratio"]
                row = (size, threads, name, round(f["characters"]["p50"]), whole["p50"], whole["p95"], whole["p99"])
                rows.append((*row, f["embedding_ms"]["p50"], rest["p50"], rest["p95"], ratio["p50"], ratio["p95"]))
    note = "model: embedding the same texts alone; rest: all but the model; ratio: whole to model, question by question"
    return ["", *_columns(head, rows), note]


def _steps(results: Results) -> list[str]:
    rows = []
    for size, own in _sizes(results):
        for threads, sets in own["match"].items():
            for share in ("p50", "p95", "p99"):
                steps = sets["needs"]["steps_ms"]
                rows.append((size, threads, share, *(steps[name][share] for name in STEPS)))
    return ["", *_columns(("steps, ms", "threads", "", *STEPS), rows)]


def _index(results: Results) -> list[str]:
    rows = []
    for size, own in _sizes(results):
        for field, f in own["index"].items():
            rows.append((size, field, f["recall@10"], f["recall@100"], f["p50_ms"], f["p95_ms"]))
    head = ("index, 1 thread", "field", "recall@10", "recall@100", "ms p50", "ms p95")
    memory = [
        (size, stage, *(f.get(name, "") for name in ("resident", "anonymous", "file")))
        for size, own in _sizes(results)
        for stage, f in own["index_memory_mb"].items()
    ]
    return ["", *_columns(head, rows), "", *_columns(("index, MB", "stage", "resident", "anonymous", "file"), memory)]


def _service(results: Results) -> list[str]:
    rows = []
    for size, own in _sizes(results):
        for stage, f in own["service"]["memory_mb"].items():
            memory = (f.get(name, "") for name in ("resident", "anonymous", "file"))
            rows.append((size, own["service"]["ready_s"], stage, *memory))
    loads = [
        (size, workers, clients, f["per_second"], f["p50"], f["p95"], of_workers["memory_mb"].get("proportional", ""))
        for size, own in _sizes(results)
        for workers, of_workers in own["load"].items()
        for clients, f in of_workers["clients"].items()
    ]
    return [
        "",
        *_columns(("service, MB", "ready s", "stage", "resident", "anonymous", "file"), rows),
        f"matcher --help: {results['help_s']} s",
        "",
        *_columns(("load over HTTP", "workers", "clients", "per second", "ms p50", "ms p95", "MB together"), loads),
    ]


def _rates(results: Results) -> list[str]:
    ingest = results["ingest"]
    rows = [("ingest", step, rate) for step, rate in ingest["records_per_second"].items()]
    for size, own in _sizes(results):
        rows += [(f"home of {size}", step, rate) for step, rate in own["build_per_second"].items()]
        rows.append((f"batch over {size}", "needs", own["batch"]["per_second"]))
        rows.append((f"batch over {size}", "the same, one by one", own["batch"]["one_by_one_per_second"]))
    whole = ingest["against_encode"]
    return [
        "",
        *_columns(("records a second", "step", "rate"), rows),
        f"embedding: {ingest['texts_per_second']} texts a second; `matcher ingest` of {whole['records']} records as a "
        f"whole {whole['ratio']} times as fast as SentenceTransformer.encode(batch_size=32) alone",
    ]


def _peers(results: Results) -> list[str]:
    head = (
        "text to results",
        "by",
        "build s",
        "ms p50",
        "ms p95",
        "no model",
        "recall@10",
        "ratio",
        "its model",
        "all else",
    )
    rows = []
    for size, own in _sizes(results):
        for name, f in own.get("peers", {}).get("figures", {}).items():
            ratios = [f.get(ratio, "") for ratio in ("ratio", "model_ratio", "search_ratio")]
            rows.append(
                (
                    size,
                    name,
                    f.get("build_s", ""),
                    f.get("median_ms", ""),
                    f.get("p95_ms", ""),
                    f.get("search_ms", ""),
                    f["recall"],
                    *ratios,
                )
            )
    return ["", *_columns(head, rows)] if rows else []


def _disturbed(results: Results) -> list[str]:
    rows = [
        (size, what, cores)
        for size, own in (("", results), *_sizes(results))
        for what, cores in own["others_cores"].items()
        if cores > DISTURBED
    ]
    if not rows:
        return []
    note = "Others used the machine meanwhile. Repeat these on a quiet one: neither times nor ratios hold."
    return ["", *_columns(("disturbed", "while measuring", "cores used by others"), rows), note]


def _columns(head: Sequence[object], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table with columns as wide as they must be, numbers to the right."""
    rows = list(rows)
    cells = [[_cell(value) for value in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [any(isinstance(value, int | float) for value in column) for column in zip(*rows, strict=True)]
    right += [False] * (len(widths) - len(right))
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]


def _cell(value: object) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
