"""All tables in one vector: where they stand, sums and softmax over rows of any length, and sizes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from eqsolve.bayesian_network import BayesianNetwork, InvalidNetwork
from eqsolve.bayesian_network.layout import Layout, dot, length
from tests.bayesian_network.games import networks, random_logits


@st.composite
def layouts(draw):
    network = draw(networks(5))
    sizes = st.just([3] * 5) if draw(st.booleans()) else st.lists(st.integers(1, 4), min_size=5, max_size=5)
    return Layout(network, draw(st.integers(1, 3)), tuple(draw(sizes)[: network.n_agents]))


def rows_of(tables):
    """Every distribution by itself, in order."""
    return [row for table in tables for row in table.reshape(-1, table.shape[-1])]


@settings(deadline=None, max_examples=50)
@given(layouts(), st.integers(0, 2**32))
def test_rows_are_those_of_the_tables(layout, seed):
    S, m, network = layout.n_states, layout.n_actions, layout.network
    tables = random_logits(np.random.default_rng(seed), network, S, m)
    flat = layout.flatten(tables)
    assert layout.size == len(flat) == sum(table.size for table in tables)
    assert all(np.array_equal(a, b) for a, b in zip(layout.tables(flat), tables, strict=True))
    assert all(np.shares_memory(one, flat) for one in layout.tables(flat))
    assert layout.common == (m[0] if len(set(m)) == 1 else 0)
    rows = rows_of(tables)
    assert layout.row_sizes.tolist() == [len(row) for row in rows]
    assert layout.row_starts.tolist() == np.cumsum([0, *map(len, rows)])[:-1].tolist()
    assert layout.row_sums(flat) == pytest.approx([row.sum() for row in rows], abs=1e-13)
    assert layout.row_maxima(flat).tolist() == [row.max() for row in rows]
    assert layout.to_entries(np.arange(len(rows))).tolist() == [k for k, row in enumerate(rows) for _ in row]
    assert layout.log_softmax(flat) == pytest.approx(np.concatenate([log_softmax(row) for row in rows]), abs=1e-13)
    shares = [np.full(table.shape[:-1], 1 / np.prod(table.shape[:-1])).reshape(-1) for table in tables]
    assert layout.row_weights == pytest.approx(np.concatenate(shares))
    # The barrier is pushed away from by 1 / m - pi, in every row by its share.
    p = np.exp(layout.log_softmax(flat))
    push = [w * (1 / len(row) - row) for w, row in zip(np.concatenate(shares), rows_of(layout.tables(p)), strict=True)]
    assert layout.barrier_gradient(p) == pytest.approx(np.concatenate(push), abs=1e-15)


@pytest.mark.parametrize("m", [(3, 3), (2, 3)])
def test_softmax_of_extreme_logits(m):
    layout = Layout(BayesianNetwork.chain(2), 1, m)
    for size in (1e3, 1e300):
        flat = np.zeros(layout.size)
        flat[::2] = size
        logs = layout.log_softmax(flat)
        assert (logs <= 0).all()
        assert np.isfinite(logs).all()
        assert layout.row_sums(np.exp(logs)) == pytest.approx(1.0, abs=1e-15)


def test_tables_that_do_not_fit_are_refused_with_their_size():
    star = BayesianNetwork.from_edges(31, [(j, 30) for j in range(30)])
    with pytest.raises(InvalidNetwork, match=r"the table of agent 30 would hold .* numbers: its parents have .* joint actions"):
        Layout(star, 3, (5,) * 31)
    with pytest.raises(InvalidNetwork, match="has 3 agents and there are 2"):
        Layout(BayesianNetwork.chain(3), 1, (2, 2))


@given(st.integers(0, 50_000), st.integers(0, 2**32), st.floats(-100, 100))
@settings(deadline=None, max_examples=30)
def test_inner_products_and_lengths(D, seed, size):
    a, b = 10.0**size * np.random.default_rng(seed).standard_normal((2, D))
    unit = float(np.abs(a) @ np.abs(b))
    assert dot(a, b) == dot(b, a) == pytest.approx(float(a @ b), abs=1e-13 * unit)
    assert length(a) == pytest.approx(float(np.linalg.norm(a)), rel=1e-13)
