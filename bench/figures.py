"""How measured values are summed up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Figures = dict[str, float]


def percentiles(values: Sequence[float], wanted: Sequence[int] = (50, 95, 99)) -> Figures:
    """Median, 95th and 99th percentile, to three digits after the point."""
    return {f"p{share}": round(float(np.percentile(values, share)), 3) for share in wanted}
