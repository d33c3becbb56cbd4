"""Generated processes against loops over their definition."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.mdp.certificate import optimal_bracket, value_bracket
from eqsolve.mdp.generators import forest, grid_world, random_mdp
from eqsolve.mdp.model import InvalidMDP
from tests.mdp import textbook


def grid_by_loops(rows, columns, goals, walls, step_reward, slip):
    S, moves = rows * columns, [(-1, 0), (0, 1), (1, 0), (0, -1)]
    P, r = np.zeros((S, 4, S)), np.zeros((S, 4))
    for s in range(S):
        cell = divmod(s, columns)
        for a in range(4):
            if cell in goals or cell in walls:
                P[s, a, s] = 1.0
                continue
            r[s, a] = step_reward
            for b, move in enumerate(moves):
                chance = 1 - slip if a == b else slip / 3
                to = (cell[0] + move[0], cell[1] + move[1])
                if to in walls or not (0 <= to[0] < rows and 0 <= to[1] < columns):
                    to = cell
                P[s, a, to[0] * columns + to[1]] += chance
                r[s, a] += chance * goals.get(to, 0.0)
    return P, r


@pytest.mark.parametrize("slip", [0.0, 0.2, 1.0])
def test_grids_are_what_the_loops_say(slip):
    goals, walls = {(0, 3): 1.0, (1, 3): -1.0}, [(1, 1)]
    mdp = grid_world(3, 4, 0.9, goals=goals, walls=walls, step_reward=-0.04, slip=slip, initial=(2, 0))
    P, r = grid_by_loops(3, 4, goals, walls, -0.04, slip)
    assert mdp.kernel().toarray() == pytest.approx(P.reshape(48, 12), abs=1e-15)
    assert mdp.reward == pytest.approx(r.reshape(-1), abs=1e-15)
    assert mdp.initial[8] == 1.0
    assert mdp.action_label(5) == "east"


def test_values_of_a_grid_without_slips_are_powers_of_the_discount():
    mdp = grid_world(4, 5, 0.9, slip=0.0)
    distance = np.array([3 - s // 5 + 4 - s % 5 for s in range(20)])
    values = np.where(distance > 0, 0.9 ** np.maximum(distance - 1.0, 0.0), 0.0)
    assert optimal_bracket(mdp).lower == pytest.approx(values, abs=1e-12)
    near = ((distance <= 3) & (distance > 0)).astype(float)
    assert optimal_bracket(grid_world(4, 5, None, slip=0.0, horizon=3)).lower == pytest.approx(near, abs=1e-12)


def test_random_processes_are_reproducible_and_as_asked():
    one, two = (random_mdp(50, 4, 6, seed=3, ragged=True) for _ in range(2))
    assert (one.kernel() != two.kernel()).nnz == 0
    assert (one.reward == two.reward).all()
    assert set(one.n_actions) == {1, 2, 3, 4}
    assert np.diff(one.kernel().indptr).max() <= 6
    assert (random_mdp(5, 2, 3, seed=1, dense=True).kernel() == random_mdp(5, 2, 3, seed=1).kernel().toarray()).all()
    steps = random_mdp(5, 2, 3, None, seed=1, horizon=3, stationary=False)
    assert (len(steps.transition), steps.reward.shape) == (3, (3, 10))
    assert len(random_mdp(5, 2, 3, None, seed=1, horizon=3).transition) == 1


def test_the_forest_is_that_of_the_textbook():
    mdp, other = forest(), textbook.forest()
    assert mdp.kernel().toarray() == pytest.approx(other.kernel(), abs=1e-15)
    assert (mdp.reward == other.reward).all()
    assert value_bracket(mdp, mdp.deterministic([0, 0, 0])).lower == pytest.approx([26.244, 29.484, 33.484], abs=1e-9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: grid_world(0, 3), "rows is 0"),
        (lambda: grid_world(3, 3, slip=1.5), "slip is 1.5, not a probability"),
        (lambda: grid_world(3, 3, goals={(3, 0): 1.0}), r"goals has the cell \(3, 0\), outside the grid of 3 x 3"),
        (lambda: grid_world(3, 3, goals={(0, 0): np.nan}), "nan"),
        (lambda: grid_world(3, 3, walls=[(2, 2)]), r"cell \(2, 2\) is both"),
        (lambda: grid_world(3, 3, walls=[5]), "has 5, not a cell"),
        (lambda: grid_world(3, 3, initial=(0, 7)), "initial has the cell"),
        (lambda: grid_world(3, 3, None), "neither gamma nor a horizon"),
        (lambda: random_mdp(3, 2, 4, seed=0), "successors is 4, more than 3"),
        (lambda: random_mdp(3, 0, 1, seed=0), "actions is 0"),
        (lambda: forest(1), "ages is 1"),
        (lambda: forest(fire=-0.1), "fire is -0.1"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InvalidMDP, match=words):
        make()
