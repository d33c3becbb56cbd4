"""The standard parameterisation: the same values as crowds of agents written out, and the branch test of Algorithm 1."""

from __future__ import annotations

from itertools import product
from operator import attrgetter

import numpy as np
import pytest
from hypothesis import given, settings

from eqsolve.errors import InvalidData, InvalidGame, UnknownName
from eqsolve.mean_field import Histograms
from eqsolve.mean_field.histograms import size
from eqsolve.mean_field.processes.tuples import histogram_of, parameterisation, project, spread, tuple_mdp, tuples
from tests.mean_field import games, oracle


def optimal(mdp):
    """Value iteration to rounding."""
    value = np.zeros(mdp.n_states)
    for _ in range(3000):
        q = mdp.reward_at() + mdp.gamma * np.einsum("ks,s->k", mdp.kernel(), value)
        new = np.maximum.reduceat(q, mdp.first[:-1])
        if np.abs(new - value).max() < 1e-12:
            return new
        value = new
    raise AssertionError("value iteration did not converge")


@pytest.mark.parametrize("case", games.cases(), ids=attrgetter("name"))
def test_values_are_those_of_crowds(case):
    game, k = case.game, case.k
    mdp = tuple_mdp(game, k, case.local)
    found = optimal(mdp).reshape(game.n_global_states, -1)
    wanted, _ = oracle.optimal_values(game, k, case.local)
    assert project(found, k, game.n_local_states) == pytest.approx(wanted, abs=1e-10)
    assert found.reshape(-1) @ mdp.initial == pytest.approx(oracle.mean_value(game, wanted, k), abs=1e-10)
    assert mdp.initial == pytest.approx(
        (oracle.initial_law(game, k) / np.bincount(histogram_of(k, game.n_local_states)))[
            :, histogram_of(k, game.n_local_states)
        ].reshape(-1),
        abs=1e-14,
    )


@given(game=games.tiny_games())
@settings(max_examples=20, deadline=None)
def test_any_game(game):
    k, local = min(game.n, 2), games.random_local(np.random.default_rng(0), game)
    found = optimal(tuple_mdp(game, k, local)).reshape(game.n_global_states, -1)
    assert project(found, k, game.n_local_states) == pytest.approx(oracle.optimal_values(game, k, local)[0], abs=1e-10)


def test_four_agents():
    game = games.small_game("two states", n=4)
    local = game.uniform_local()
    found = optimal(tuple_mdp(game, 4, local)).reshape(3, -1)
    assert project(found, 4, 2) == pytest.approx(oracle.optimal_values(game, 4, local)[0], abs=1e-10)


@pytest.mark.parametrize(("k", "Z"), [(0, 3), (1, 1), (1, 4), (3, 2), (4, 3)])
def test_tuples_and_their_histograms(k, Z):
    assert tuples(k, Z).tolist() == [list(one) for one in product(range(Z), repeat=k)]
    table = Histograms(k, Z).table
    assert [table[h].tolist() for h in histogram_of(k, Z)] == [[one.count(z) for z in range(Z)] for one in tuples(k, Z).tolist()]
    values = np.random.default_rng(k).random((2, size(k, Z)))
    assert project(spread(values, k, Z), k, Z) == pytest.approx(values, abs=1e-15)


def test_functions_that_look_at_the_order():
    values = np.zeros((2, 9))
    values[1, 3] = 1.0  # (1, 0), and not (0, 1)
    with pytest.raises(InvalidData, match="histogram \\[1, 1, 0\\] differ by up to 1"):
        project(values, 2, 3)
    for call in (lambda: project(values, 2, 2), lambda: spread(values, 2, 3)):
        with pytest.raises(InvalidData, match="shape"):
            call()


def test_too_large_or_too_many():
    game = games.known("warehouse")
    with pytest.raises(InvalidGame, match="5 agents over 5 states"):
        tuple_mdp(game, 5, game.uniform_local())
    with pytest.raises(InvalidGame, match="k is 31, more than 30"):
        tuple_mdp(game, 31, game.uniform_local())
    with pytest.raises(InvalidGame, match="k is 0"):
        tuple_mdp(game, 0, game.uniform_local())
    with pytest.raises(InvalidData, match="local_policy has shape"):
        tuple_mdp(game, 1, np.ones((5, 5, 2)) / 2)
    with pytest.raises(InvalidData, match="make 5\\^30 tuples"):
        tuples(30, 5)


def test_the_branch_of_algorithm_1():
    """Tuples up to k = 7 with 5 states, 78125 against 330 histograms."""
    assert [parameterisation(k, 5, "paper") for k in (1, 6, 7, 8, 50)] == ["tuples"] * 3 + ["histograms"] * 2
    assert {parameterisation(k, 5) for k in range(1, 60)} == {"histograms"}
    assert all(size(k, Z) <= Z**k for k in range(1, 12) for Z in range(1, 8))
    with pytest.raises(UnknownName, match="variant"):
        parameterisation(2, 5, "literal")
    with pytest.raises(InvalidData, match="k is 0"):
        parameterisation(0, 5)
