"""What results tell, where gaps are brackets or not known at all, and the default algorithm of the system."""

from __future__ import annotations

import json

import numpy as np
import pytest

import eqsolve
from eqsolve.backends import Limits
from eqsolve.bayesian_network import CooperativeMarkovGame, random_cooperative
from eqsolve.bayesian_network import system as system_module
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
from eqsolve.bayesian_network.certificate import nash_gap, policy_value
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.parameters import AGENTS, network_parameter, truth_value
from eqsolve.bayesian_network.result import NetworkResult, policy_rows
from eqsolve.bayesian_network.system import BAYESIAN_NETWORK
from eqsolve.certificates import GapCertificate
from eqsolve.driver.system import system_of
from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.files import json_text
from eqsolve.mdp import PolicyIteration
from tests.bayesian_network.methods import GAMES, game


def reached(one, **options):
    return eqsolve.solve(one, LBFGS("product", lam=0.1, **options), limits=Limits(iterations=2))


def test_an_optimality_gap_that_is_not_known_is_told_as_such(monkeypatch):
    def too_large(*_):
        raise InvalidGame("too large")

    one = random_cooperative(2, (2, 2), seed=77)
    result = reached(one)
    monkeypatch.setattr("eqsolve.bayesian_network.result.optimality_gap", too_large)
    assert result.optimality is None
    assert "optimality gap" in str(result)
    assert "not known" in str(result)
    assert "4 joint actions are too many" in str(result)
    assert json.loads(json_text(result.to_json()))["optimality_gap"] is None


def test_a_bracket_is_told_by_both_ends(monkeypatch):
    result = reached(random_cooperative(2, (2, 2), seed=78))
    monkeypatch.setattr(
        "eqsolve.bayesian_network.result.optimality_gap", lambda *_: GapCertificate("optimality", 0.25, 0.5, "bracket")
    )
    text = str(result)
    assert "0.25 .. 0.5" in text
    assert f"the best joint policy earns {result.value + 0.5:,.6g} at most" in text


@pytest.mark.parametrize("name", sorted(GAMES))
def test_results_are_judged_by_the_certificate(name):
    one = game(name)
    result = eqsolve.solve(one, limits=Limits(iterations=3))
    assert isinstance(result, NetworkResult)
    assert isinstance(result.algorithm, BarrierPolicyIteration)
    assert result.gap == nash_gap(one, result.policy)
    assert result.value == policy_value(one, result.policy)
    assert result.gap.lower <= result.optimality.upper + 1e-12
    rows = policy_rows(one, result.policy)
    assert len(rows) - 1 == sum(table.size for table in result.policy.tables)
    assert all(len(row) == 5 for row in rows)
    # Rows stand in the order of the tables, the own action last; each distribution sums to 1.
    chances = iter(row[-1] for row in rows[1:])
    for table in result.policy.tables:
        found = np.array([next(chances) for _ in range(table.size)]).reshape(-1, table.shape[-1])
        assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-12)


def test_the_system_knows_its_games_and_its_algorithms(monkeypatch):
    one = game("dense")
    assert system_of(one) is BAYESIAN_NETWORK
    with pytest.raises(InvalidData, match="does not solve bayesian_network games"):
        eqsolve.solve(one, PolicyIteration())
    assert isinstance(BAYESIAN_NETWORK.default_algorithm(one), BarrierPolicyIteration)
    # 3 states and 6 joint actions: 18 pairs with a kernel over them, and 54 numbers to be made where it is of factors.
    monkeypatch.setattr(system_module, "DENSE_UP_TO", 18)
    assert isinstance(BAYESIAN_NETWORK.default_algorithm(one), BarrierPolicyIteration)
    parts = [((), np.broadcast_to(np.eye(3)[0], (3, 3)))]
    factored = CooperativeMarkovGame((2, 3), parts, one.joint_reward(), 0.5)
    assert isinstance(BAYESIAN_NETWORK.default_algorithm(factored), AgentwiseBarrierIteration)
    monkeypatch.setattr(system_module, "DENSE_UP_TO", 17)
    assert isinstance(BAYESIAN_NETWORK.default_algorithm(one), AgentwiseBarrierIteration)


def test_networks_become_plain_values():
    for given in ("product", "chain", "tree", "dense"):
        assert network_parameter(given) == given
    edges = network_parameter(np.array([[2, 0], [0, 1]], dtype=np.int32))
    assert edges == ((2, 0), (0, 1))  # by the child
    assert all(type(one) is int for edge in edges for one in edge)
    assert network_parameter(iter([(np.int64(1), 0)])) == ((1, 0),)
    assert network_parameter(()) == ()
    assert network_parameter([(0, 1000)]) == ((0, 1000),)
    assert AGENTS > 1000
    assert truth_value("x", True) is True
    with pytest.raises(InvalidData, match="x is 1, not True or False"):
        truth_value("x", 1)
