"""The theorems against numbers worked out by hand, and the hypotheses that they need."""

from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest

from eqsolve.aggregative import AffinePayoffs, CallablePayoffs, CurvePayoffs, PolynomialPayoffs, Tolerance
from eqsolve.aggregative.markov import (
    AggreBI,
    AggregativeMarkovGame,
    CallableTransitions,
    MixtureTransitions,
    StateWise,
    random_markov,
)
from eqsolve.aggregative.markov.bounds import (
    paper_zeta,
    reward_range,
    rounding_error,
    theorem_3_1,
    theorem_4_1,
    theorem_4_2,
    theorem_5_1,
    vertex_rounding,
)
from eqsolve.certificates import Bound
from eqsolve.driver import Status
from eqsolve.errors import InvalidData, UnknownName

N, M, D, H, S = 4, 2, 2, 3, 2
DELTA, GAMMA_R, GAMMA_P = 0.25, 0.1, 0.3
SPAN = 0.1
"""Of the rewards: 0.1 x, x from 0 to 1, plus 0 or 0.05 for the two states: 0 to 0.15 in all, 0.15 for each player."""
ZETA = DELTA * sqrt(8 * N * log(2 * M * N))
B = 0.1


def by_hand(rewards=None, transition=None):
    """Four players over two coordinates, the second of them idle; x_0 is the share of players who play 1."""
    families = [AffinePayoffs(np.full(8, 0.05 * s), [[GAMMA_R, 0.0]] * 8) for s in range(S)]
    slope = np.tile([[GAMMA_P, 0.0]], (S, 1))
    return AggregativeMarkovGame(
        horizon=H,
        n_actions=[M] * N,
        contribution=[[0.0, 0.0], [DELTA, 0.0]] * N,
        rewards=rewards or families,
        transition=transition or MixtureTransitions(np.eye(2), np.eye(2)[::-1], np.zeros(S), slope),
        initial=[1.0, 0.0],
        welfare=np.tile([0.0, 5.0], N),
    )


def test_the_constants_of_the_game():
    game = by_hand()
    assert game.delta == pytest.approx([DELTA] * H)
    assert game.gamma_rewards == pytest.approx(np.full((H, S), GAMMA_R))
    assert game.gamma_transition == pytest.approx(np.full((H, S), GAMMA_P))
    assert paper_zeta(game) == pytest.approx([ZETA] * H)


def test_the_range_of_the_rewards_is_over_states_actions_and_aggregators():
    found = reward_range(by_hand())
    assert found.least == pytest.approx(np.zeros((H, N)), abs=1e-12)
    assert found.most == pytest.approx(np.full((H, N), 0.15))
    assert found.ahead == pytest.approx([0.3, 0.15, 0.0])
    assert found.size == pytest.approx(0.45)
    assert not found.is_declared


@pytest.mark.parametrize("family", ["affine", "curves", "polynomial", "callable"])
def test_the_range_holds_what_is_sampled(family):
    rng = np.random.default_rng(5)
    slope = rng.uniform(-1, 1, (8, 2))
    families = {
        "affine": AffinePayoffs(rng.random(8), slope),
        "curves": CurvePayoffs(
            np.linspace(0, 1, 5), rng.random((8, 5)), np.arange(8), [0] * 8, rng.uniform(-1, 1, 8), rng.random(8), 2
        ),
        "polynomial": PolynomialPayoffs([[2, 0], [1, 1]], slope),
        "callable": CallablePayoffs(lambda c, x: np.sin(np.einsum("kd,kd->k", slope[c], x)), np.abs(slope).sum(axis=1), 8, 2),
    }
    game = by_hand(families[family])
    found = reward_range(game)
    assert found.is_declared == (family == "callable")
    x = game.lower[0] + rng.random((2000, 2)) * (game.upper[0] - game.lower[0])
    u = game.reward(0, 0).batch(x).reshape(2000, N, M)
    assert (u.min(axis=(0, 2)) >= found.least[0] - 1e-12).all()
    assert (u.max(axis=(0, 2)) <= found.most[0] + 1e-12).all()
    if family in ("affine", "curves"):  # the second coordinate does not move
        ends = game.reward(0, 0).batch(np.linspace(game.lower[0], game.upper[0], 4001)).reshape(-1, N, M)
        assert found.least[0] == pytest.approx(ends.min(axis=(0, 2)), abs=1e-9)
        assert found.most[0] == pytest.approx(ends.max(axis=(0, 2)), abs=1e-9)


def test_how_far_rounding_moves_the_aggregator():
    game = by_hand()
    sampled = DELTA * sqrt(N * log(2 * D * H * S / 0.1) / 2)
    once = DELTA * sqrt(N * log(2 * D / 0.1) / 2)
    assert rounding_error(game, "nearest") == pytest.approx([D * DELTA / 2] * H)
    assert rounding_error(game, "best") == pytest.approx([D * DELTA] * H)
    assert rounding_error(game, "sampled", 0.1) == pytest.approx([sampled] * H)
    assert rounding_error(game, "nearest", 0.1, "paper") == pytest.approx([sampled] * H)
    assert rounding_error(game, "sampled", 0.1, stages=False) == pytest.approx([once] * H)


def test_the_vertex_bound_adds_the_worst_state_of_every_step():
    eta = np.array([[0.1, 0.2], [0.3, 0.0], [0.0, 0.0]])
    cells = np.array([[0.5, 0.1], [0.1, 0.1], [0.0, 0.7]])
    bound = vertex_rounding(by_hand(), {"eta": eta, "2 b gamma": cells}, excess=D)
    assert bound.value == pytest.approx(0.6 + 0.4 + 0.7)
    assert bound.terms == pytest.approx({"eta": 0.1 + 0.3, "2 b gamma": 0.5 + 0.1 + 0.7})
    drift = vertex_rounding(by_hand(), {"eta": eta, "2 b gamma": cells, "drift": [[0, 0.5], [0, 0], [0, 0]]}, excess=D)
    assert drift.value == pytest.approx(0.8 + 0.4 + 0.7)
    assert drift.terms["drift"] == 0.5
    assert vertex_rounding(by_hand(), {}, excess=0).value == 0.0


def test_the_vertex_bound_needs_vertices():
    excess = np.zeros((H, S))
    excess[1, 1] = D + 1
    bound = vertex_rounding(by_hand(), {"eta": np.full((H, S), np.inf)}, excess)
    assert bound.value is None
    assert bound.failed == ("at step 1, state 1 the point has 3 extra actions in use, a vertex at most d = 2",)
    with pytest.raises(UnknownName, match="unknown part of the bound 'etta'"):
        vertex_rounding(by_hand(), {"etta": 0.0}, excess=0)
    with pytest.raises(InvalidData, match="excess has shape 2, expected 3 x 2"):
        vertex_rounding(by_hand(), {}, excess=np.zeros(2))


@pytest.mark.parametrize("theorem", [theorem_3_1, theorem_4_1])
def test_the_nash_theorems_as_printed(theorem):
    looks_ahead = theorem is theorem_4_1
    E = DELTA * sqrt(N * log(2 * D * (H * S if looks_ahead else 1) / 0.05) / 2)
    slope = GAMMA_R * H + (GAMMA_P * H * (H - 1) / 2 if looks_ahead else 0.0)
    expected = {"zeta": ZETA * slope, "4 alpha": 4 * B * slope, "2 delta": 2 * DELTA * slope, "2 E": 2 * E * slope}
    if not looks_ahead:
        expected["delta gamma_P H (H - 1) / 2"] = DELTA * GAMMA_P * 3
    bound = theorem(by_hand(), B, variant="paper")
    assert bound.terms == pytest.approx(expected)
    assert bound.value == pytest.approx(sum(expected.values()))
    assert "as printed, with probability 0.95" in bound.name


@pytest.mark.parametrize("rounding", ["best", "nearest", "sampled"])
@pytest.mark.parametrize("theorem", [theorem_3_1, theorem_4_1])
def test_the_nash_theorems_corrected(theorem, rounding):
    """Ranges of what comes after a step are 0.3, 0.15, 0."""
    E = DELTA * sqrt(N * log(2 * D * H * S / 0.05) / 2) if rounding == "sampled" else D * DELTA / 2
    width = ZETA + 4 * B + 2 * DELTA + 2 * E
    bound = theorem(by_hand(), B, rounding=rounding)
    if theorem is theorem_4_1:
        assert bound.value == pytest.approx(width * (3 * GAMMA_R + GAMMA_P * 0.45))
    else:
        assert bound.value == pytest.approx(width * 3 * GAMMA_R + DELTA * GAMMA_P * 0.45)
    assert ("probability" in bound.name) == (rounding == "sampled")
    assert sum(bound.terms.values()) == pytest.approx(bound.value)


def test_the_corrected_theorems_take_the_worst_state_of_a_step():
    game = by_hand([AffinePayoffs(np.zeros(8), [[slope, 0.0]] * 8) for slope in (0.1, 0.4)])
    width = ZETA + 4 * B + 2 * DELTA + D * DELTA
    assert theorem_3_1(game, B, rounding="nearest").value == pytest.approx(width * 3 * 0.4 + DELTA * GAMMA_P * 1.2)
    assert theorem_4_1(game, B, rounding="nearest").value == pytest.approx(width * (3 * 0.4 + GAMMA_P * 1.2))


@pytest.mark.parametrize("theorem", [theorem_3_1, theorem_4_1])
def test_rewards_that_range_over_more_than_1_are_not_what_is_printed(theorem):
    game = by_hand(AffinePayoffs(np.tile([-1.0, 1.0], 4), np.zeros((8, 2))))
    bound = theorem(game, B, variant="paper")
    assert bound.value is None
    assert bound.failed == ("a player's rewards of one step range over 2, more than the 1 that the proof allows",)
    assert theorem(game, B).value is not None
    # Where they lie does not matter, nor that players differ.
    assert theorem(by_hand(AffinePayoffs(np.arange(8) // 2 * 10.0, np.zeros((8, 2)))), B, variant="paper").value is not None


@pytest.mark.parametrize("variant", ["paper", "corrected"])
@pytest.mark.parametrize(("share", "holds"), [(0.999, True), (1.001, False)])
def test_the_tolerance_is_at_most_the_papers(variant, share, holds):
    ahead = np.array([2.0, 1.0, 0.0]) if variant == "paper" else np.array([0.3, 0.15, 0.0])
    eta = np.repeat((GAMMA_R + GAMMA_P * ahead)[:, None] * (ZETA + 2 * B + DELTA), S, axis=1)
    eta[1, 1] *= share
    bound = theorem_4_1(by_hand(), B, eta, variant=variant)
    assert (bound.value is not None) == holds
    assert holds or bound.failed[0].startswith("the tolerance")
    assert holds or "at step 1, state 1 exceeds the paper's" in bound.failed[0]


def test_a_vertex_may_move_farther_than_a_sample():
    """One player over four coordinates: 2 delta against 1.59 delta of one sample, 1.70 delta of two."""
    g = np.vstack((np.zeros(4), np.eye(4)))
    game = AggregativeMarkovGame(2, [5], g, AffinePayoffs(np.zeros(5), np.full((5, 4), 0.1)), _still(4), [1.0])
    for theorem, E in ((theorem_3_1, 1.593), (theorem_4_1, 1.698)):
        refused = theorem(game, B, rounding="nearest", variant="paper")
        assert refused.failed == (f"rounding a vertex may move by d delta / 2 = 2, more than the sampling error {E}",)
        assert theorem(game, B, rounding="sampled", variant="paper").value is not None
        assert theorem(game, B, rounding="nearest").value is not None


def _still(d):
    return MixtureTransitions([[1.0]], [[1.0]], [0.0], np.zeros((1, d)))


def test_the_welfare_loss_as_printed_and_corrected():
    """The total welfare of a step ranges over 20, so that 40, 20 and 0 are to come; one player moves it by 5."""
    game, opt = by_hand(), Tolerance.of("opt")
    E = DELTA * sqrt(N * log(2 * D * H * S / 0.05) / 2)
    printed = theorem_4_2(game, B, opt, variant="paper")
    assert printed.terms == pytest.approx({"alpha gamma_P l H (H - 1) / 2": B * GAMMA_P * 20 * 3, "H E": 3 * E})
    for rounding, share in (("nearest", 0.5), ("best", 1.0)):
        loss = theorem_4_2(game, B, opt, rounding=rounding)
        expected = {
            "2 b gamma_P D": 2 * B * GAMMA_P * 60,
            "E gamma_P D": share * D * DELTA * GAMMA_P * 60,
            "E_w": 3 * share * D * 5,
        }
        assert loss.terms == pytest.approx(expected)
        assert loss.value == pytest.approx(sum(expected.values()))
        assert loss.name == "welfare loss, Theorem 4.2 corrected"
    sampled = theorem_4_2(game, B, opt)
    chance = log(2 * (D + 1) * H * S / 0.05) / 2
    expected = {
        "2 b gamma_P D": 2 * B * GAMMA_P * 60,
        "E gamma_P D": DELTA * sqrt(N * chance) * GAMMA_P * 60,
        "E_w": 3 * sqrt(N * 25 * chance),
    }
    assert sampled.terms == pytest.approx(expected)


@pytest.mark.parametrize("tolerance", ["existence", 0.3])
def test_the_welfare_loss_needs_a_tolerance_that_admits_all_equilibria(tolerance):
    loss = theorem_4_2(by_hand(), B, Tolerance.of(tolerance))
    assert loss.value is None
    assert "need not admit every equilibrium" in loss.failed[0]
    assert theorem_4_2(by_hand(), B, Tolerance.of("paper")).value is not None


SOLVING = Bound("solving", 0.125, "test")


def test_the_learning_theorem_as_printed():
    bound = theorem_5_1(by_hand(), SOLVING, 1000, 50, B, 0.1, variant="paper")
    iota = log(S * M * 1000 * H / 0.1)
    expected = {"epsilon_solve": 0.125, "gamma_P alpha H^2": GAMMA_P * B * 9}
    expected["sqrt(H^4 S^2 |X| iota / K)"] = sqrt(H**4 * S**2 * 50 * iota / 1000)
    assert bound.terms == pytest.approx(expected)
    assert bound.value == pytest.approx(sum(expected.values()))


def test_the_learning_theorem_corrected():
    bound = theorem_5_1(by_hand(), SOLVING, 1000, 50, B, 0.1)
    iota = S * log(2) + log(2 * H * S * 50 * 1000 / 0.1)
    expected = {
        "epsilon_solve": 0.125,
        "6 b gamma_P D": 6 * B * GAMMA_P * 0.45,
        "first visits": 0.45 * S * 50 / 1000,
        "bonus": 0.45 * 6 * sqrt(S * 50 * iota / 2000),
        "chance": sqrt((0.45**2 + 0.3**2 + 0.15**2) * log(20) / 2000),
    }
    assert bound.terms == pytest.approx(expected)
    assert bound.value == pytest.approx(sum(expected.values()))
    assert theorem_5_1(by_hand(), SOLVING, 10**9, 50, B).value < bound.value


def test_the_learning_theorem_needs_a_plan_per_episode_and_a_bound_on_the_stages():
    refused = Bound("solving", None, "test", failed=("no vertex",))
    bound = theorem_5_1(by_hand(), refused, 10, 5, B, plans_every_episode=False)
    assert bound.value is None
    assert bound.failed == ("no vertex", "a plan was kept for several episodes, of which the theorem makes one each")


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda game: theorem_4_1(game, B, rounding="up"), UnknownName, "unknown rounding 'up'"),
        (lambda game: theorem_4_1(game, B, variant="papers"), UnknownName, "unknown variant 'papers'"),
        (lambda game: theorem_3_1(game, B, beta=0.0), InvalidData, "beta is 0, not above 0"),
        (lambda game: theorem_4_2(game, B, Tolerance.of("opt"), beta=1.0), InvalidData, "beta is 1, not"),
        (lambda game: theorem_4_1(game, [B]), InvalidData, "half_width has shape 1, expected 3 x 2"),
        (lambda game: theorem_4_1(game, B, np.zeros((2, 3))), InvalidData, "eta has shape 2 x 3, expected 3 x 2"),
        (lambda game: theorem_5_1(game, SOLVING, 0, 5, B), InvalidData, "episodes is 0, less than 1"),
        (lambda game: theorem_5_1(game, SOLVING, 5, 0, B), InvalidData, "cells is 0, less than 1"),
        (lambda game: theorem_5_1(game, SOLVING, 5, 5, B, np.nan), InvalidData, "failure is nan"),
        (lambda game: theorem_5_1(game, SOLVING, 5, 5, B, variant="x"), UnknownName, "unknown variant 'x'"),
    ],
)
def test_parameters_out_of_range_are_named(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong(by_hand())


def test_declared_constants_are_said_to_be():
    transition = CallableTransitions(lambda h, s, x: np.tile([0.5, 0.5], (len(x), 1)), 0.1, 2, 2)
    assert theorem_4_1(by_hand(transition=transition), B).source.endswith("(declared Lipschitz constants)")
    assert "declared" not in theorem_4_1(by_hand(), B).source
    payoff = CallablePayoffs(lambda c, x: np.zeros(len(c)), 3.0, 8, 2)
    bound = theorem_4_1(by_hand(payoff), B, variant="paper")
    assert bound.failed[0].startswith("by the declared Lipschitz constants a player's rewards of one step range over 3")


def test_a_run_shows_vertex_rounding_first_and_then_the_papers():
    game = random_markov(20, 2, 1, 2, 2, seed=1)
    planned, myopic = AggreBI(cells=5).solve(game), StateWise(cells=5).solve(game)
    names = [bound.name for bound in planned.bounds]
    assert names == [
        "vertex rounding",
        "Theorem 4.1 corrected",
        "Theorem 4.1 as printed, with probability 0.95",
        "welfare loss, Theorem 4.2 corrected",
    ]
    assert [bound.name for bound in myopic.bounds] == [name.replace("4.1", "3.1") for name in names[:3]]
    assert "drift" in myopic.bounds[0].terms
    assert "drift" not in planned.bounds[0].terms
    sampled = AggreBI(cells=5, variant="paper").solve(game)
    assert [bound.name for bound in sampled.bounds] == [
        "Theorem 4.1 corrected, with probability 0.95",
        "Theorem 4.1 as printed, with probability 0.95",
        "welfare loss, Theorem 4.2 corrected, with probability 0.95",
    ]
    assert sampled.bounds[0].value is not None


def spiked(height):
    """Two players whose action 1 pays at x = 0.3 alone, where only a deviation leads; no sample and no centre falls there."""

    def payoff(columns, x):
        at = np.abs(x[:, 0] - 0.3) < 1e-9
        return np.where(columns % 2 == 0, 0.5, height * at)

    transition = MixtureTransitions(np.eye(2), np.eye(2)[::-1], [0.0, 0.0], [[1.0], [1.0]])
    return AggregativeMarkovGame(
        2, [2, 2], [[0.0], [0.3], [0.0], [0.5]], CallablePayoffs(payoff, 0.0, 4, 1), transition, [1.0, 0.0]
    )


def test_a_gap_above_its_bound_refutes_a_lipschitz_constant():
    result = AggreBI(cells=2).solve(spiked(10.0))
    assert result.status is Status.REFUTED
    assert result.reason == "the exact gap exceeds its bound: a Lipschitz constant is too small"
    assert result.gap.upper > result.bounds[0].value
    assert result.bounds[0].source.endswith("(declared Lipschitz constants)")
    assert AggreBI(cells=2).solve(spiked(0.0)).is_converged


def test_no_other_bound_is_held_against_the_answer():
    """One holds with a probability only, one is in units of welfare."""
    result = AggreBI(cells=2).solve(spiked(10.0))
    others = tuple(replace(bound, value=0.0, failed=()) for bound in result.bounds[1:])
    assert AggreBI().objection(replace(result, bounds=others)) == ""
