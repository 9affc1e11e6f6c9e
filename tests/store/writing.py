"""A child process that writes whole batches, and says after each what became of its records.

Arguments: address, source, number of batches, the batch within which it kills itself (0: none).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from matcher.records import Achievement
from matcher.store import Store

BATCH = 20


def main(url: str, source: str, batches: int, fatal: int) -> None:
    save_contacts, calls = Store._save_contacts, 0

    def save_or_die(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        save_contacts(*arguments)

    Store._save_contacts = staticmethod(save_or_die)  # type: ignore[method-assign]
    store = Store(url)
    say("open")
    for batch in range(batches):
        numbers = range(batch * BATCH, (batch + 1) * BATCH)
        records = [
            Achievement(source=source, source_id=str(n), title=f"{source}的成果{n}", institution="四川大学")
            for n in numbers
        ]
        outcomes = store.upsert([(record, "电话") for record in records])
        say(str(batch), *outcomes)


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
