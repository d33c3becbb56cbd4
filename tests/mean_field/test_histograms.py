"""Histograms: listed once, in the order that the ranks tell, and moves that do what they say."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.mean_field import Histograms
from eqsolve.mean_field.histograms import LARGEST, affordable, largest_k, rank_table, size

SIZES = [(0, 1), (0, 4), (1, 1), (7, 1), (1, 5), (5, 2), (4, 3), (3, 5), (6, 4)]


@pytest.mark.parametrize(("k", "Z"), SIZES)
def test_every_histogram_is_listed_once_in_descending_order(k, Z):
    table = Histograms(k, Z).table.tolist()
    wanted = sorted((d for d in product(range(k + 1), repeat=Z) if sum(d) == k), reverse=True)
    assert table == [list(d) for d in wanted]
    assert Histograms(k, Z).size == len(wanted) == comb(k + Z - 1, Z - 1)


@pytest.mark.parametrize(("k", "Z"), SIZES)
def test_ranks_invert_the_table(k, Z):
    histograms = Histograms(k, Z)
    assert histograms.rank(histograms.table).tolist() == list(range(histograms.size))
    assert histograms.checked_rank(histograms.table[::-1]).tolist() == list(range(histograms.size))[::-1]
    assert histograms.rank(histograms.table.reshape(1, -1, Z)).shape == (1, histograms.size)


@pytest.mark.parametrize(("k", "Z"), SIZES)
def test_moves_arrivals_and_departures(k, Z):
    here, more = Histograms(k, Z), Histograms(k + 1, Z)
    place = {tuple(d): h for h, d in enumerate(here.table.tolist())}
    larger = {tuple(d): h for h, d in enumerate(more.table.tolist())}
    unit = np.eye(Z, dtype=int)
    for i in range(Z):
        assert here.joined(i).tolist() == [larger[tuple(d)] for d in here.table + unit[i]]
        back = more.without(i)
        assert back.tolist() == [place.get(tuple(d), -1) for d in (more.table - unit[i]).tolist()]
        for j in range(Z):
            wanted = [place.get(tuple(d), -1) for d in (here.table - unit[i] + unit[j]).tolist()]
            if i == j:
                wanted = [h if d[i] else -1 for h, d in enumerate(here.table.tolist())]
            assert here.move(i, j).tolist() == wanted
    assert Histograms(0, Z).without(0).tolist() == [-1]


@pytest.mark.parametrize(("k", "Z"), SIZES)
def test_one_more_agent_in_state_0_keeps_the_place(k, Z):
    assert Histograms(k, Z).joined(0).tolist() == list(range(size(k, Z)))


@given(k=st.integers(1, 300), Z=st.integers(1, 7), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_ranks_of_large_spaces_are_in_order(k, Z, seed):
    counts = np.random.default_rng(seed).multinomial(k, np.full(Z, 1 / Z), size=20)
    ranks = Histograms(k, Z).checked_rank(counts)
    by_rank, by_rows = counts[np.argsort(-ranks, kind="stable")], counts[np.lexsort(counts.T[::-1])]
    assert by_rank.tolist() == by_rows.tolist()
    assert ((ranks >= 0) & (ranks < size(k, Z))).all()


def test_means_over_agents():
    histograms, values = Histograms(3, 2), np.array([[1.0, 4.0], [0.0, -3.0]])
    assert histograms.mean(values) == pytest.approx(np.array([[1, 2, 3, 4], [0, -1, -2, -3]]))
    for wrong in ((Histograms(0, 2), [1.0, 2.0], "k is 0"), (histograms, [1.0], "shape")):
        with pytest.raises(InvalidData, match=wrong[2]):
            wrong[0].mean(wrong[1])


def test_tables_are_shared_and_read_only():
    assert Histograms(4, 3).table is Histograms(4, 3).table
    assert Histograms(4, 3).move(0, 1) is Histograms(4, 3).move(0, 1)
    assert Histograms(4, 3) == Histograms(4.0, 3)
    assert not Histograms(4, 3).table.flags.writeable
    assert not rank_table(4, 3).flags.writeable


@pytest.mark.parametrize(("k", "Z", "match"), [(-1, 3, "k is -1"), (2, 0, "Z is 0"), (1.5, 3, "whole"), (True, 3, "whole")])
def test_sizes_out_of_range(k, Z, match):
    with pytest.raises(InvalidData, match=match):
        Histograms(k, Z)


@pytest.mark.parametrize("numbers", [1, 5, 25, 10**6])
@pytest.mark.parametrize("Z", [2, 5, 9])
def test_the_largest_k_that_fits_fits_and_the_next_does_not(Z, numbers):
    k = largest_k(Z, numbers)
    assert size(k, Z) * numbers <= LARGEST < size(k + 1, Z) * numbers
    assert affordable(k, Z, numbers) == size(k, Z)
    with pytest.raises(InvalidGame, match=f"The largest k that fits is {k:,}") as caught:
        affordable(k + 1, Z, numbers, error=InvalidGame)
    assert f"{size(k + 1, Z):,} histograms" in str(caught.value)


def test_spaces_that_never_fit():
    assert largest_k(1) == LARGEST
    assert largest_k(1, LARGEST + 1) is None
    assert largest_k(3, LARGEST) is None
    with pytest.raises(InvalidData, match="No k fits"):
        affordable(1, 3, LARGEST)
    with pytest.raises(InvalidData, match="about 10\\^") as caught:
        _ = Histograms(10_000, 9).table
    assert "The largest k that fits is" in str(caught.value)


@pytest.mark.parametrize(
    ("counts", "match"),
    [
        ([[1, 1, 1], [3, 1, -1]], "counts\\[1\\] is \\[3, 1, -1\\]"),
        ([[2, 2, 0]], "no histogram of 3"),
        ([1.0, 1.0, 1.0], "type"),
        ([3], "shape"),
    ],
)
def test_counts_that_are_no_histograms(counts, match):
    with pytest.raises(InvalidData, match=match):
        Histograms(3, 3).checked_rank(counts)


def test_states_out_of_range():
    for call in (lambda h: h.move(0, 3), lambda h: h.without(3), lambda h: h.joined(-1)):
        with pytest.raises(InvalidData):
            call(Histograms(2, 3))
