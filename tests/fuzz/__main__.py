"""`make fuzz`: at least 100,000 broken files through every reader; ends with 1 if one must be mended."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.fuzz.harness import Tally, run

#: Share of the inputs that each format gets: by how much of its reader is ours, and what one costs.
SHARES = {
    **{"delimited": 0.16, "jsonl": 0.1, "json": 0.1, "workbook": 0.18},
    **{"docx": 0.16, "pdf": 0.06, "xml": 0.16, "zip": 0.08},
}


def main() -> None:
    """Run the fuzzing and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input, to repeat one")
    parser.add_argument("--only", choices=SHARES, help="one format")
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    names = [chosen.only] if chosen.only else list(SHARES)
    counts = {name: round(chosen.inputs * (1 if chosen.only else SHARES[name])) for name in names}
    began = time.monotonic()
    with ThreadPoolExecutor(chosen.jobs) as pool:
        futures = {name: pool.submit(run, name, counts[name], chosen.seed, chosen.first) for name in names}
        print_head()
        tallies = {}
        for name, future in futures.items():
            tallies[name] = future.result()
            print_row(name, tallies[name])
    failures = [failure for tally in tallies.values() for failure in tally.failures]
    inputs = sum(tally.inputs for tally in tallies.values())
    print(f"{inputs} inputs, {len(failures)} to be mended, {time.monotonic() - began:.0f} s, seed {chosen.seed}")
    for failure in failures[:50]:
        print(f"  {failure}")
    sys.exit(1 if failures else 0)


def print_head() -> None:
    """Print the names of the columns."""
    print("format      inputs    read  refused    rows  contained  slowest s (input)  peak MB", flush=True)


def print_row(name: str, tally: Tally) -> None:
    """Print what became of the inputs of one format."""
    kept = sum(tally.contained.values())
    print(
        f"{name:<10}{tally.inputs:>8}{tally.read:>8}{tally.refused:>9}{tally.rows:>8}{kept:>11}"
        f"{tally.slowest:>11.2f} {f'({tally.slowest_number})':>7}{tally.peak_bytes / 1e6:>9.0f}",
        flush=True,
    )
    for kind, count in tally.contained.most_common(8):
        print(f"    contained {count:>6}  {kind}", flush=True)


if __name__ == "__main__":
    main()
