"""What results tell, and how the system is wired."""

from __future__ import annotations

import json

import numpy as np
import pytest

import eqsolve
from eqsolve.backends import Limits, solve_program
from eqsolve.driver import Result
from eqsolve.driver.system import system_of
from eqsolve.errors import InvalidData, UnknownName
from eqsolve.files import json_text
from eqsolve.mdp import PolicyIteration
from eqsolve.mean_field.alternating_marl import AlternatingMARL
from eqsolve.mean_field.certificate import surrogate_gap
from eqsolve.mean_field.generators import warehouse
from eqsolve.mean_field.result import Subsampled
from eqsolve.mean_field.system import MEAN_FIELD
from tests.mean_field import oracle
from tests.mean_field.alternations import answer, solved
from tests.mean_field.games import small_game


def test_a_result_tells_what_its_value_stands_for(tmp_path):
    game = small_game("ragged types, zeros", seed=1, n=4)
    result = solved(game, 2)
    assert isinstance(result, Subsampled)
    assert result.gap == surrogate_gap(game, result.policy)
    assert result.population == 4
    whole = oracle.mean_value(game, oracle.policy_values(game, result.policy), 4)
    assert result.value == pytest.approx(whole, abs=1e-6)
    text = str(result)
    assert "J[4, 2], what is earned online, 2 seen" in text
    assert "V_2, of 2 agents: not comparable across k" in text
    assert "simulation" not in text
    told = json.loads(json_text(result.to_json()))
    assert told["k"] == 2
    assert told["two_level_value"] == result.value
    assert told["surrogate_value"] == pytest.approx(
        oracle.mean_value(game, oracle.policy_values(game, result.policy, n=2), 2), abs=1e-6
    )
    back = Result.load(result.save(tmp_path))
    assert answer(back) == answer(result)
    assert (tmp_path / "local_policy.csv").exists()
    assert back.recertified() == result.gap


def test_an_estimate_is_told_as_one():
    result = solved(warehouse(), 1, K=2, local_step="fixed")
    text = str(result)
    assert "J[10, 1], two-level surrogate: 10 of 1,000 agents, 1 seen" in text
    assert "left to simulation" in text


def test_the_programs_of_a_run_are_those_of_its_surrogate():
    result = solved(small_game("ragged", seed=2, n=3), 2, K=2)
    best, own = (solve_program(result.program(*which)) for which in ((), ("policy",)))
    assert own.objective == pytest.approx(best.objective, rel=1e-5)
    text = str(result)
    assert "J[2, 2], by which proposals were judged" in text
    with pytest.raises(UnknownName, match="unknown program 'bellman'"):
        result.program("bellman")


def test_the_tables_hold_the_policies():
    game = small_game("ragged", seed=2, n=3)
    result = solved(game, 2)
    tables = result.tables()
    head, *rows = tables["local_policy.csv"]
    assert head == ("global state", "local state", "action", "probability")
    chances = {}
    for g, z, _, chance in rows:
        chances[g, z] = chances.get((g, z), 0.0) + chance
    assert len(chances) == 9
    assert list(chances.values()) == pytest.approx([1.0] * 9)
    head, *rows = tables["global_policy.csv"]
    assert head[1:4] == ("seen in local state 0", "seen in local state 1", "seen in local state 2")
    assert len(rows) == 3 * 6
    for (g, h), action in np.ndenumerate(result.policy.global_policy):
        row = rows[g * 6 + h]
        assert sum(row[1:4]) == 2
        assert row[4:] == (action, 1.0)


def test_a_stochastic_global_policy_is_a_table_of_probabilities(monkeypatch):
    result = solved(small_game(n=3), 1, limits=Limits(iterations=0))
    rows = result.tables()["global_policy.csv"][1:]
    assert {row[-1] for row in rows} == {0.5}
    assert len(rows) == 3 * 3 * 2
    monkeypatch.setattr("eqsolve.mean_field.result.ROWS", 18)
    assert set(result.tables()) == {"local_policy.csv"}


def test_the_system_knows_its_games_and_algorithms():
    game = small_game(n=3)
    assert system_of(game) is MEAN_FIELD
    assert MEAN_FIELD.default_algorithm(game) == AlternatingMARL(3)
    assert MEAN_FIELD.default_algorithm(warehouse()) == AlternatingMARL(5)
    assert MEAN_FIELD.algorithm("AlternatingMARL") is AlternatingMARL
    assert MEAN_FIELD.describe(game).startswith("3 local agents")
    with pytest.raises(InvalidData, match="does not solve mean_field games"):
        eqsolve.solve(game, PolicyIteration())
