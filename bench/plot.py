"""The results as a picture: steps by size, growth, load, peers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from report import STEPS

Results = Mapping[str, Any]


def draw(results: Results, path: Path) -> None:
    """Write a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    _steps(axes[0, 0], results)
    _growth(axes[0, 1], results)
    _load(axes[1, 0], results)
    _peers(axes[1, 1], results)
    figure.suptitle(f"{results['machine']['processor']}, {results['machine']['cores']} cores, synthetic offers")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _label(size: str) -> str:
    return f"{int(size):,}"


def _few_threads(own: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The single matches with the fewest threads."""
    threads = min(own["match"], key=int)
    return threads, own["match"][threads]


def _steps(axis: Any, results: Results) -> None:
    """Median of each step, stacked: for short needs, where the model hides least."""
    bottom = [0.0] * len(results["sizes"])
    labels = [_label(size) for size in results["sizes"]]
    threads = ""
    for step in STEPS:
        heights = []
        for own in results["sizes"].values():
            threads, sets = _few_threads(own)
            heights.append(sets["short needs"]["steps_ms"][step]["p50"])
        axis.bar(labels, heights, bottom=bottom, label=step, width=0.6)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axis.set(title=f"One match by step, short needs, threads: {threads}", xlabel="offers", ylabel="ms (median)")
    axis.legend(fontsize="small")


def _growth(axis: Any, results: Results) -> None:
    """Time with the size, both logarithmic."""
    sizes = [int(size) for size in results["sizes"]]
    values = list(results["sizes"].values())
    for name in ("needs", "short needs"):
        for share in ("p50", "p95"):
            times = [_few_threads(own)[1][name]["rest_ms"][share] for own in values]
            axis.plot(sizes, times, "o-", label=f"all but the model, {name}, {share}")
    for field in ("title", "body"):
        axis.plot(sizes, [own["index"][field]["p50_ms"] for own in values], "s--", label=f"vector search, {field}, p50")
    axis.set(title="Growth", xlabel="offers", ylabel="ms", xscale="log", yscale="log")
    axis.legend(fontsize="small")


def _load(axis: Any, results: Results) -> None:
    """Answers a second by clients."""
    for size, own in results["sizes"].items():
        for workers, found in own["load"].items():
            clients = [int(count) for count in found["clients"]]
            rates = [one["per_second"] for one in found["clients"].values()]
            axis.plot(clients, rates, "o-" if workers == "1" else "s--", label=f"{_label(size)}, workers: {workers}")
    axis.set(title="Answers over HTTP", xlabel="clients", ylabel="per second", ylim=(0, None))
    axis.legend(fontsize="small")


def _peers(axis: Any, results: Results) -> None:
    """Times of peers as multiples of ours."""
    found = {size: own["peers"]["figures"] for size, own in results["sizes"].items() if "peers" in own}
    if not found:
        axis.set_axis_off()
        return
    names = [name for name in next(iter(found.values())) if name != "matcher"]
    height = 0.8 / len(found)
    for place, (size, figures) in enumerate(found.items()):
        rows = [row + place * height for row in range(len(names))]
        axis.barh(rows, [figures[name]["ratio"] for name in names], height, label=_label(size))
    axis.axvline(1, color="black", linewidth=1)
    axis.set_yticks([row + 0.4 - height / 2 for row in range(len(names))], names)
    axis.set(title="Text to results: peers' median to ours", xlabel="times", xscale="log")
    axis.legend(title="offers", fontsize="small")
