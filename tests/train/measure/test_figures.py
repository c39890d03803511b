"""Intervals are as wide as chance makes them, and distances know the same crowd from another."""

import numpy as np
import pytest

from sfumato.train.measure.figures import (
    difference,
    frechet,
    kernel_distance,
    nearest,
    pairwise,
    share,
)


def test_fifty_of_a_hundred_are_sure_to_ten_points() -> None:
    made = share([True, False] * 50)
    assert made.percent == 50
    assert made.count == 100
    assert made.within == pytest.approx(9.6, abs=0.1)  # 1.96 times the root of .25 / 104


def test_all_right_is_not_all_sure() -> None:
    assert share([True] * 20).within > 5


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    for truth in (0.05, 0.5, 0.9):
        made = [share(rng.random(300) < truth) for _ in range(600)]
        hit = np.mean([abs(m.percent - 100 * truth) <= m.within for m in made])
        assert 0.92 < hit < 0.98


def test_intervals_of_groups_hold_the_truth_and_are_narrower_where_groups_differ() -> None:
    rng = np.random.default_rng(2)
    truths = np.repeat([0.05, 0.95], 100)
    strata = [f"group {i // 4}" for i in range(200)]
    made = [share(rng.random(200) < truths, strata) for _ in range(400)]
    hit = np.mean([abs(m.percent - 50) <= m.within for m in made])
    assert hit > 0.92
    assert np.mean([m.within for m in made]) < 0.6 * share([True, False] * 100).within


def test_a_group_of_one_leaves_the_plain_interval() -> None:
    values = [True, False, True, True]
    assert share(values, ["a", "a", "a", "b"]).within == share(values).within


def test_pairs_that_agree_make_a_surer_difference_than_their_shares() -> None:
    first = [True, False] * 50
    second = [True, *first[1:]]
    second[0] = False
    made = difference(first, second)
    assert made.percent == 1
    assert made.within < 5


def test_a_difference_within_groups_holds_the_truth_and_is_surer_where_groups_differ() -> None:
    rng = np.random.default_rng(8)
    truths, strata = np.repeat([0.02, 0.98], 60), [f"group {i // 3}" for i in range(120)]
    made = [difference(rng.random(120) < truths, [True] * 120, strata) for _ in range(300)]
    assert np.mean([abs(m.percent + 50) <= m.within for m in made]) > 0.92
    plain = difference([True, False] * 60, [True] * 120)
    assert np.mean([m.within for m in made]) < 0.6 * plain.within


def test_a_crowd_lies_at_no_distance_from_itself_and_moved_by_a_step_at_its_square() -> None:
    crowd = np.random.default_rng(3).standard_normal((400, 8)).astype(np.float32)
    assert frechet(crowd, crowd) == pytest.approx(0, abs=1e-4)
    assert frechet(crowd + 1, crowd) == pytest.approx(8, rel=1e-3)
    assert frechet(2 * crowd, crowd) > 5


def test_the_kernel_distance_is_none_between_draws_of_one_crowd() -> None:
    rng = np.random.default_rng(4)
    one, two = (rng.standard_normal((500, 8)).astype(np.float32) for _ in range(2))
    assert abs(kernel_distance(one, two)) < 10
    assert kernel_distance(one + 0.5, two) > 100


def test_directions_are_compared_and_not_lengths() -> None:
    a = np.array([[1.0, 0.0], [0.0, 2.0]])
    b = np.array([[5.0, 0.0], [0.0, -1.0], [1.0, 1.0]])
    np.testing.assert_allclose(pairwise(a, b)[:, :2], [[0, 1], [1, 2]])
    np.testing.assert_allclose(nearest(a, b), [0, 1 - 0.5**0.5])
