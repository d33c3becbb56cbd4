"""System optimum, social cost of equilibria, price of anarchy and tolls: intervals that hold the textbook's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.aggregative.congestion_games import AffineCosts, CallableCosts, PathFlows, PiecewiseLinearCosts
from eqsolve.aggregative.congestion_games.certificate import certify as wardrop
from eqsolve.aggregative.congestion_games.cost_terms import NoConvexProgram
from eqsolve.aggregative.congestion_games.generators import NEW_ROAD, braess, pigou, random_routed
from eqsolve.aggregative.congestion_games.linear_masters import LinearMasters
from eqsolve.aggregative.congestion_games.optimum import (
    anarchy_bound,
    equilibrium_cost,
    marginal_cost_tolls,
    price_of_anarchy,
    proven_optimum,
    system_optimum,
    tolled_equilibrium,
)
from eqsolve.aggregative.congestion_games.path_equilibrium import PathEquilibrium
from eqsolve.aggregative.congestion_games.tntp import read_game
from eqsolve.driver import solve
from eqsolve.errors import InvalidData, InvalidGame
from tests.aggregative.congestion_games.convex_games import GAMES, by_function, falling, game_of, least

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "transport"


@pytest.mark.parametrize("name", GAMES)
def test_the_system_optimum_is_proved(name):
    game = game_of(name)
    found = system_optimum(game)
    found.flows.check(game)
    assert found.lower <= least(name, system=True) * (1 + 1e-8)
    assert found.cost >= least(name, system=True) * (1 - 1e-8)
    assert found.relative_gap <= 1e-8
    other = system_optimum(game, LinearMasters(1e-6), backend="highs")
    assert other.lower <= found.cost
    assert found.lower <= other.cost <= found.cost * (1 + 1e-6)


@pytest.mark.parametrize("power", [1, 2, 4, 10])
def test_pigou_has_the_worst_price_of_its_power(power):
    game = pigou(3, power)
    found = price_of_anarchy(game)
    bound = anarchy_bound(game).value
    assert found.bound.value == bound
    assert found.lower <= bound * (1 + 1e-12)
    assert found.upper >= bound * (1 - 1e-12)
    assert found.upper - found.lower <= 1e-5
    share = (power + 1) ** (-1 / power)
    assert bound == pytest.approx(1 / (1 - share + share ** (power + 1)), rel=1e-12)
    assert anarchy_bound(pigou()).value == pytest.approx(4 / 3, rel=1e-15)


def test_braess_by_the_book():
    """552 minutes at the equilibrium, 498 at the optimum; without the new road the equilibrium is the optimum."""
    with_road, without = price_of_anarchy(braess()), price_of_anarchy(braess().without([NEW_ROAD]))
    assert with_road.equilibrium.lower <= 552.0 <= with_road.equilibrium.upper
    assert with_road.optimum.lower <= 498.0 <= with_road.optimum.cost * (1 + 1e-12)
    assert with_road.lower <= 552 / 498 <= with_road.upper
    assert with_road.upper - with_road.lower <= 1e-4
    assert without.lower == 1.0
    assert without.upper == pytest.approx(1.0, abs=1e-4)
    assert "price of anarchy in [1.108" in str(with_road)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-1, 1e-2, 1e-4]), st.booleans())
def test_the_interval_of_crude_flows_holds_the_cost_of_the_equilibrium(seed, tolerance, weighted):
    """The same game solved roughly and finely: the rough interval holds the fine one's centre, and the cost itself."""
    game = random_routed(nodes=4, links=8, types=2, power=2, weighted=weighted, seed=seed)
    rough = equilibrium_cost(game, solve(game, LinearMasters(tolerance), backend="highs").policy)
    fine = equilibrium_cost(game, solve(game, PathEquilibrium(1e-12)).policy)
    assert rough.lower <= fine.upper
    assert fine.lower <= rough.upper
    assert rough.lower <= fine.cost + (fine.upper - fine.lower)
    assert fine.cost - (fine.upper - fine.lower) <= rough.upper
    assert fine.upper - fine.lower <= 1e-3 * fine.cost


def test_even_flows_far_from_the_equilibrium_have_a_true_interval():
    game = pigou(1, 1)
    for share in np.linspace(0.0, 1.0, 11):
        flows = PathFlows([0, 0], [0, 1, 2], [0, 1], [share, 1.0 - share])
        found = equilibrium_cost(game, flows)
        assert found.lower <= 1.0 <= found.upper
        assert found.excess == pytest.approx(share * share, abs=1e-12)
        best = proven_optimum(game, flows)
        assert best.lower <= 0.75 <= best.cost + 1e-15


def test_costs_that_are_not_convex_have_a_wider_interval():
    """The width from monotone costs alone, and that of convex ones, both hold the same equilibrium."""
    x = [np.array([0.0, 0.5, 1.0])] * 2
    concave = pigou().with_costs(PiecewiseLinearCosts(x, [np.array([1.0, 1.0, 1.0]), np.array([0.0, 0.7, 1.0])]))
    found = equilibrium_cost(concave, PathFlows([0, 0], [0, 1, 2], [0, 1], [1e-6, 1.0 - 1e-6]))
    assert found.method == "monotone costs"
    assert found.lower <= 1.0 <= found.upper
    with pytest.raises(NoConvexProgram, match="the marginal costs of 'Pigou' may fall with the flow"):
        price_of_anarchy(concave)


@pytest.mark.parametrize("name", ["Pigou of power 4", "Braess", "crossing", "routed"])
def test_with_marginal_cost_tolls_the_equilibrium_is_the_optimum(name):
    game = game_of(name)
    best = system_optimum(game, PathEquilibrium(1e-12))
    toll = marginal_cost_tolls(game, best)
    assert (toll >= 0).all()
    result = tolled_equilibrium(game, toll, PathEquilibrium(1e-12))
    assert wardrop(result.game, result.policy).upper <= 1e-5 * result.game.costs.cost(best.x).max()
    assert wardrop(game.tolled(toll), best.flows).upper <= 1e-5 * result.game.costs.cost(best.x).max()
    assert game.social_cost(result.aggregator) == pytest.approx(best.cost, rel=1e-9)
    np.testing.assert_allclose(result.aggregator, best.x, atol=1e-4 * game.demand.sum())


def test_tolls_of_pigou():
    """Half of the traffic on each road; the toll of the second is x c' = 1/2."""
    np.testing.assert_allclose(marginal_cost_tolls(pigou()), [0.0, 0.5], atol=1e-6)
    result = tolled_equilibrium(pigou())
    np.testing.assert_allclose(result.aggregator, 0.5, atol=1e-6)


def test_what_is_taken_on_somebodys_word_is_said():
    price = price_of_anarchy(by_function(), LinearMasters(1e-6), backend="highs")
    assert price.assumptions == price.optimum.assumptions
    assert "given by functions" in price.assumptions[0]
    assert price.bound.value is None
    assert price.bound.failed == ("the costs are not sums of powers",)
    assert price_of_anarchy(pigou()).assumptions == ()


def test_bad_input_is_refused():
    for one in (system_optimum, price_of_anarchy):
        with pytest.raises(NoConvexProgram, match="may fall with the flow"):
            one(falling())
    flows = PathFlows([0], [0, 1], [0], [1.0])
    with pytest.raises(NoConvexProgram, match="there is no convex program"):
        equilibrium_cost(falling(), flows)
    short = PathFlows([0], [0, 1], [0], [0.5])
    for judge in (equilibrium_cost, proven_optimum):
        with pytest.raises(InvalidGame, match=r"add up to 0\.5"):
            judge(pigou(), short)
    free = pigou().with_costs(AffineCosts([0.0, 0.0], [0.0, 0.0]))
    with pytest.raises(InvalidData, match="no ratio to it has a bound"):
        price_of_anarchy(free)
    wrong = CallableCosts(lambda x: 1.0 + x, np.ones_like, 2, nondecreasing=False)
    with pytest.raises(NoConvexProgram):
        price_of_anarchy(pigou().with_costs(wrong))


@pytest.mark.skipif(not REAL.exists(), reason="the data of Sioux Falls is not here")
def test_sioux_falls():
    found = price_of_anarchy(read_game(REAL / "SiouxFalls_net.tntp", REAL / "SiouxFalls_trips.tntp"), PathEquilibrium(1e-12))
    assert 1.0397 < found.lower <= found.upper < 1.0398
    assert found.optimum.cost == pytest.approx(7_194_256.05, rel=1e-8)
    assert found.equilibrium.lower <= 7_480_225.34 <= found.equilibrium.upper
