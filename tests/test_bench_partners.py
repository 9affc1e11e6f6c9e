"""The arithmetic of `bench/partners.py`."""

from __future__ import annotations

import itertools

import pytest

from bench.partners import recall


def test_recall_is_the_share_of_the_right_ones_among_the_first() -> None:
    scores = {"甲": 3.0, "乙": 2.0, "丙": 1.0}
    assert recall(scores, {"甲"}, 1) == 1
    assert recall(scores, {"甲", "丙"}, 1) == 0.5
    assert recall(scores, {"丙"}, 2) == 0
    assert recall(scores, {"丙", "丁"}, 5) == 0.5
    assert recall({}, {"甲"}, 5) == 0


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_ties_get_the_mean_over_their_orders(depth: int) -> None:
    scores, right = {"甲": 2, "乙": 1, "丙": 1, "丁": 1, "戊": 0}, {"乙", "丁", "戊"}
    orders = [sorted(order, key=lambda one: -scores[one]) for order in itertools.permutations(scores)]
    mean = sum(len(right & set(order[:depth])) for order in orders) / len(orders) / len(right)
    assert recall(scores, right, depth) == pytest.approx(mean)
