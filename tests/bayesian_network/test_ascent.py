"""Methods that climb L_lambda: where they end, what the lemmas promise there, saddles, rounding, units, what is kept, bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import eqsolve
from eqsolve.backends import Limits
from eqsolve.bayesian_network import (
    BayesianNetwork,
    BayesianNetworkPolicy,
    CooperativeMarkovGame,
    InvalidNetwork,
    barrier_objective,
    penalty_game,
    random_cooperative,
)
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
from eqsolve.bayesian_network.bn_policy_gradient import BNPolicyGradient
from eqsolve.bayesian_network.bounds import smoothness
from eqsolve.bayesian_network.central_path import OccupancyBarrier
from eqsolve.bayesian_network.certificate import nash_gap, optimality_gap
from eqsolve.bayesian_network.continuation import Continuation
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.natural_gradient import NaturalGradient
from eqsolve.bayesian_network.network_search import NetworkSearch
from eqsolve.bayesian_network.reinforce import Reinforce
from eqsolve.driver import Run, Status
from eqsolve.errors import InvalidData, UnknownName
from eqsolve.files import json_text
from tests.bayesian_network import oracle
from tests.bayesian_network.methods import (
    COLLIDER,
    ENOUGH,
    GAMES,
    LAM,
    METHODS,
    NETWORKS,
    ByHand,
    game,
    logits_of,
    mismatch_by_enumeration,
    network_of,
    path_of,
    rescaled,
    scale_of,
)

CLIMBERS = (LBFGS, NaturalGradient, BNPolicyGradient, AgentwiseBarrierIteration, BarrierPolicyIteration, Reinforce)


def never_goes_down(result):
    steps = np.diff(result.history["objective"])
    return not len(steps) or steps.min() >= -1e-12 * (scale_of(result.game) + abs(result.state.objective))


# Where runs end


@pytest.mark.parametrize(
    ("name", "network"),
    [
        *((name, network) for name in GAMES for network in NETWORKS),
        ("factored", COLLIDER),
        ("one state", COLLIDER),
        ("sparse", COLLIDER),
    ],
)
def test_every_method_ends_at_a_stationary_point_with_the_gap_that_the_lemmas_promise(name, network):
    one = game(name)
    net = network_of(one, network)
    by_hand, M, scale = ByHand(one, net, LAM), mismatch_by_enumeration(one), scale_of(one)
    methods = METHODS if not net.is_dense else METHODS | {"joint": BarrierPolicyIteration}
    for how, make in methods.items():
        if how == "natural gradient" and network != "product" and name not in ("factored", "one state"):
            continue  # hundreds of iterations, where rows differ much in their visits
        result = eqsolve.solve(one, make(network, lam=LAM), limits=ENOUGH)
        assert result.policy.network == net
        slow = how == "natural gradient"  # its gains may be lost in rounding before the tolerance is met
        assert result.status is Status.CONVERGED or (slow and result.status is Status.STALLED), how
        gradient = float(np.linalg.norm(by_hand.gradient(logits_of(result.policy))))
        assert gradient <= (3e-8 if slow else 1.5e-8 if how == "joint" else 1.01e-8) * scale
        if np.isfinite(M):
            assert result.gap.upper <= 2 * LAM * M
            if net.is_dense:
                assert result.optimality.upper <= LAM * M
        assert result.gap.upper <= result.optimality.upper + 1e-12 * scale
        assert never_goes_down(result)
        assert result.value == pytest.approx(oracle.value(one, result.policy), abs=1e-12 * scale)
        assert result.state.objective == pytest.approx(by_hand(logits_of(result.policy)), abs=1e-12 * scale)
        assert barrier_objective(one, result.policy, LAM) == pytest.approx(result.state.objective, abs=1e-12 * scale)
        assert result.state.value == pytest.approx(result.value, abs=1e-12 * scale)
        assert result.history["gradient_norm"][-1] == result.state.gradient_norm
        assert result.history["objective"][-1] == result.state.objective


@pytest.mark.parametrize("name", ["dense", "sparse", "factored", "ragged", "one state", "no future", "penalty"])
def test_the_bounds_beside_the_certificate(name):
    one = game(name)
    M = mismatch_by_enumeration(one)
    joint = eqsolve.solve(one, BarrierPolicyIteration(lam=LAM))
    by_name = {bound.name: bound for bound in joint.bounds}
    assert by_name["Nash gap near a stationary point, corrected"].value == pytest.approx(2 * LAM * M)
    telescoped = by_name["optimality gap near a stationary point, telescoped"].value
    assert telescoped == pytest.approx(LAM * M)
    visits = by_name["optimality gap from the visits"].value
    assert joint.optimality.upper <= visits * (1 + 1e-6) <= telescoped * (1 + 2e-6)
    sparse = eqsolve.solve(one, LBFGS("product", lam=LAM))
    assert [bound.name for bound in sparse.bounds] == ["Nash gap near a stationary point, corrected"]
    cut = eqsolve.solve(one, LBFGS("product", lam=LAM), limits=Limits(iterations=0))
    assert [bound.value for bound in cut.bounds] == [None]
    assert "the gradient has norm" in cut.bounds[0].failed[0]


def test_no_bounds_without_a_finite_mismatch_coefficient():
    bounds = eqsolve.solve(game("unreachable"), BarrierPolicyIteration(lam=LAM)).bounds
    assert bounds[0].value is None
    assert "infinite" in bounds[0].failed[0]


def test_a_gap_above_a_promise_refutes_the_run():
    result = eqsolve.solve(game("penalty"), LBFGS("product", lam=LAM))
    uniform = BayesianNetworkPolicy.uniform(result.policy.network, 1, (3, 3))
    refuted = replace(result, policy=uniform, gap=nash_gap(game("penalty"), uniform)).judged()
    assert refuted.status is Status.REFUTED
    assert "promises 0.2" in refuted.reason


@pytest.mark.parametrize("name", ["dense", "factored", "one state", "climbing"])
def test_dense_methods_agree_where_the_objective_is_concave_and_are_within_rounding_of_each_other(name):
    """Elsewhere several maxima are possible, so that games of one state, or without a future, only."""
    one = game(name) if game(name).n_states == 1 else rescaled(game(name), 1.0)
    if one.n_states > 1:
        one = CooperativeMarkovGame(one.n_actions, one.kernel if one.kernel is not None else one.moves, one.reward, 0.0)
    reached = [eqsolve.solve(one, BarrierPolicyIteration(lam=LAM)).state.objective]
    reached += [eqsolve.solve(one, make("dense", lam=LAM), limits=ENOUGH).state.objective for make in METHODS.values()]
    orders = [BayesianNetwork.dense(one.n_agents, range(one.n_agents)[::-1]).edges]
    reached += [eqsolve.solve(one, BarrierPolicyIteration(edges, lam=LAM)).state.objective for edges in orders]
    assert np.ptp(reached) <= 1e-10 * scale_of(one)


# The numbers of the notes

TABLE = [
    (-10.0, 0.1, 1.8667, 0.066, 9.92238, 0.0776),
    (-10.0, 0.01, 1.9867, 0.0067, 9.99222, 0.00778),
    (-100.0, 1.0, 1.170, 0.63, 9.2361, 0.764),
    (-100.0, 0.1, 1.8895, 0.066, 9.92236, 0.0776),
]


@pytest.mark.parametrize(("k", "lam", "stuck", "nash", "joint", "optimality"), TABLE)
def test_product_policies_get_stuck_and_dense_ones_do_not(k, lam, stuck, nash, joint, optimality):
    one = penalty_game(k)
    product = eqsolve.solve(one, AgentwiseBarrierIteration("product", lam=lam))
    assert product.status is Status.CONVERGED
    assert product.gap.upper == pytest.approx(nash, rel=0.02)
    assert product.value == pytest.approx(stuck, abs=1e-4 if lam < 1 else 5e-4)
    for make in (LBFGS, BarrierPolicyIteration, AgentwiseBarrierIteration):
        dense = eqsolve.solve(one, make("dense", lam=lam))
        assert dense.status is Status.CONVERGED
        assert dense.optimality.upper == pytest.approx(optimality, rel=1e-3)
        assert dense.value == pytest.approx(joint, abs=1e-4)
        assert dense.gap.upper < dense.optimality.upper <= lam


def test_the_nash_gap_of_a_dense_policy_is_below_its_optimality_gap():
    dense = eqsolve.solve(penalty_game(-10.0), BarrierPolicyIteration(lam=0.1))
    assert dense.gap.upper == pytest.approx(0.0488, abs=5e-5)


@pytest.mark.parametrize(
    ("states", "m", "gamma", "lam", "most"),
    [(3, (2, 3, 2), 0.8, 0.01, 12), (4, (2,) * 8, 0.9, 0.01, 20), (20, (3,) * 4, 0.95, 0.01, 25), (12, (4, 4), 0.99, 0.001, 15)],
)
def test_barrier_iteration_ends_in_a_few_steps_with_a_gap_of_about_lambda(states, m, gamma, lam, most):
    """The instances of the notes' table by their sizes: 7 to 13 iterations there, gaps of 0.92 to 1.0 lambda."""
    result = eqsolve.solve(random_cooperative(states, m, gamma=gamma, seed=11), BarrierPolicyIteration(lam=lam))
    assert result.status is Status.CONVERGED
    assert 0.3 * lam <= result.optimality.upper <= 1.4 * lam
    assert result.gap.upper <= result.optimality.upper
    assert result.iterations <= most
    assert never_goes_down(result)


def test_barrier_iteration_is_damped_where_full_steps_overshoot():
    result = eqsolve.solve(random_cooperative(4, (2,) * 6, gamma=0.9, seed=1), BarrierPolicyIteration(lam=0.1))
    assert result.status is Status.CONVERGED
    assert 0.09 <= result.optimality.upper <= 0.1
    assert result.history["step"].min() == 0.5
    assert never_goes_down(result)


def test_a_step_of_one_over_beta_never_goes_down():
    """What beta_lambda is for: the objective is smooth, so that such a step gains at least half of what the slope promises."""
    for name in ("penalty", "dense", "ragged", "no future"):
        one = game(name)
        for network in ("product", "dense"):
            run = eqsolve.solve(
                one, BNPolicyGradient(network, lam=LAM, perturb=1.0, keep="objective"), limits=Limits(iterations=40)
            )
            beta = smoothness(one, network_of(one, network), LAM)
            start = BNPolicyGradient(network, lam=LAM, perturb=1.0).init(one, Run())
            norms = np.concatenate([[start.gradient_norm], run.history["gradient_norm"]])
            climbed = np.concatenate([[start.objective], run.history["objective"]])
            assert (np.diff(climbed) >= 0.5 * norms[:-1] ** 2 / beta - 1e-13 * scale_of(one)).all()
            assert run.history["step"].tolist() == [1.0 / beta] * 40
            assert run.status is Status.OUT_OF_ITERATIONS


# Saddles


def test_the_uniform_start_of_a_symmetric_game_leads_to_a_saddle_that_is_left():
    one = penalty_game(-10.0)
    stuck = eqsolve.solve(one, LBFGS("product", lam=1.0, perturb=0.0, second_order=False))
    assert stuck.status is Status.CONVERGED
    assert stuck.value == pytest.approx(0.785, abs=5e-4)
    assert stuck.state.escapes == 0
    assert np.isnan(stuck.state.curvature)
    hessian = ByHand(one, stuck.policy.network, 1.0).hessian(logits_of(stuck.policy))
    assert np.linalg.eigvalsh(hessian)[-1] > 0.1
    for how, make in METHODS.items():
        left = eqsolve.solve(one, make("product", lam=1.0, perturb=0.0), limits=ENOUGH)
        assert left.status is Status.CONVERGED
        assert left.value == pytest.approx(8.652, abs=1e-3)
        assert left.state.escapes == 1 or how == "gradient"  # whose rounding errors grow until they leave by themselves
        assert never_goes_down(left)
        hessian = ByHand(one, left.policy.network, 1.0).hessian(logits_of(left.policy))
        assert np.linalg.eigvalsh(hessian)[-1] <= 1e-6 * scale_of(one, 1.0)
        assert ("1 saddles left behind" in str(left)) == (left.state.escapes == 1)


def test_a_saddle_that_cannot_be_left_is_no_convergence(monkeypatch):
    monkeypatch.setattr("eqsolve.bayesian_network.ascent.ESCAPES", 0)
    result = eqsolve.solve(penalty_game(-10.0), LBFGS("product", lam=1.0, perturb=0.0))
    assert result.status is Status.STALLED
    assert result.state.curvature > 0.1
    assert result.value == pytest.approx(0.785, abs=5e-4)


def test_perturbed_starts_do_not_meet_the_saddle():
    result = eqsolve.solve(penalty_game(-10.0), LBFGS("product", lam=1.0))
    assert result.state.escapes == 0
    assert result.value == pytest.approx(8.652, abs=1e-3)


# Rounding and units


@pytest.mark.parametrize("name", GAMES)
def test_a_tolerance_below_rounding_ends_all_the_same(name):
    one = game(name)
    product, dense = (LBFGS, AgentwiseBarrierIteration), (LBFGS, BarrierPolicyIteration)
    for network, make in [*(("product", one) for one in product), *(("dense", one) for one in dense)]:
        result = eqsolve.solve(one, make(network, lam=LAM, tolerance=1e-15), limits=Limits(iterations=2500))
        assert result.status in (Status.CONVERGED, Status.STALLED), (make, network, result.iterations)
        assert result.state.gradient_norm <= 1e-9 * scale_of(one)
        if result.status is Status.CONVERGED and make is not BarrierPolicyIteration:
            policy, last = logits_of(result.policy), result.state.logits
            assert np.abs(np.exp(policy) - np.exp(last)).max() <= 1e-14  # what converged is what is handed back


@pytest.mark.parametrize("name", ["one agent", "penalty", "factored", "no future"])
def test_the_natural_gradient_ends_below_rounding_too(name):
    one = game(name)
    result = eqsolve.solve(one, NaturalGradient("product", lam=LAM, tolerance=1e-15), limits=Limits(iterations=2500))
    assert result.status in (Status.CONVERGED, Status.STALLED)
    assert result.state.gradient_norm <= 1e-7 * scale_of(one)


@pytest.mark.parametrize("lam", [1e-6, 1e-12, 1e-18])
@pytest.mark.parametrize("name", ["penalty", "dense", "factored"])
def test_a_tiny_lambda_is_never_called_converged_away_from_an_equilibrium(name, lam):
    """Near a deterministic policy every gradient is tiny; only one as small as Lemma 2 asks tells an equilibrium."""
    one = game(name)
    M = mismatch_by_enumeration(one)
    for make in (LBFGS, AgentwiseBarrierIteration):
        result = eqsolve.solve(one, make("product", lam=lam), limits=Limits(iterations=500))
        assert np.isfinite(result.value)
        if result.status is Status.CONVERGED:
            assert result.gap.lower <= 2 * lam * M
            assert result.bounds[0].value == pytest.approx(2 * lam * M, rel=1e-9)


@pytest.mark.parametrize("by", [1e6, 1e-6, 1e-12])
@pytest.mark.parametrize("name", ["penalty", "dense", "no future", "factored"])
def test_units_of_reward_make_no_difference(name, by):
    one = game(name)
    some = [("product", make) for make in METHODS.values()] + [("chain", LBFGS), ("dense", BarrierPolicyIteration)]
    for network, make in some:
        plain = eqsolve.solve(one, make(network, lam=LAM), limits=ENOUGH)
        other = eqsolve.solve(rescaled(one, by), make(network, lam=LAM * by), limits=ENOUGH)
        assert other.status is plain.status
        assert abs(other.iterations - plain.iterations) <= 3
        assert other.state.objective == pytest.approx(by * plain.state.objective, rel=1e-10)
        assert other.gap.upper == pytest.approx(by * plain.gap.upper, rel=1e-5)


@pytest.mark.parametrize("plus", [100.0, -1e4])
@pytest.mark.parametrize("name", ["penalty", "dense", "factored"])
def test_a_constant_in_the_rewards_changes_the_value_alone(name, plus):
    one = game(name)
    moved = rescaled(one, 1.0, plus)
    for network, make in [("product", LBFGS), ("chain", AgentwiseBarrierIteration), ("dense", BarrierPolicyIteration)]:
        plain, other = (eqsolve.solve(each, make(network, lam=LAM), limits=ENOUGH) for each in (one, moved))
        assert other.status is plain.status is Status.CONVERGED
        assert other.value == pytest.approx(plain.value + plus / (1 - one.gamma), rel=1e-9)
        for a, b in zip(plain.policy.tables, other.policy.tables, strict=True):
            assert np.abs(a - b).max() <= 1e-6


# What is kept


@pytest.mark.parametrize("step_size", [0.05, 2.0, 20.0])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_handed_back_is_the_best_iterate_by_what_was_asked_for(seed, step_size):
    """Fixed steps that are too long jump about, so that the last iterate is none of the three."""
    one = random_cooperative(2, (2, 3), gamma=0.5, seed=seed)
    net = BayesianNetwork.chain(2)
    by_hand = ByHand(one, net, LAM)
    options = {"lam": LAM, "step_size": step_size, "perturb": 2.0, "second_order": False}
    states = path_of(one, BNPolicyGradient("chain", **options), 30)
    logits = [state.logits for state in states]
    policies = [BayesianNetworkPolicy.softmax(net, [part.reshape(s) for part, s in parts(one, net, each)]) for each in logits]
    gaps = [max(oracle.agent_gain(one, policy, i) for i in range(2)) for policy in policies]
    objectives = [by_hand(each) for each in logits]
    norms = [float(np.linalg.norm(by_hand.gradient(each))) for each in logits]
    for keep, score in (("objective", [-each for each in objectives]), ("gradient", norms), ("gap", gaps)):
        for n in (0, 3, len(states) - 1):
            result = eqsolve.solve(one, BNPolicyGradient("chain", keep=keep, **options), limits=Limits(iterations=n))
            best = min(score[: n + 1])
            policy = logits_of(result.policy)
            reached = {
                "objective": -by_hand(policy),
                "gradient": float(np.linalg.norm(by_hand.gradient(policy))),
                "gap": result.gap.upper,
            }[keep]
            assert reached == pytest.approx(best, abs=1e-12 * scale_of(one))
            if keep == "gap":
                assert result.history["nash_gap"].tolist() == pytest.approx(gaps[1 : n + 1], abs=1e-11) if n else True


def parts(one, net, flat):
    by_hand = ByHand(one, net, LAM)
    return [(flat[first:last], shape) for (first, last), shape in zip(pairwise(by_hand.ends), by_hand.shapes, strict=True)]


def test_the_least_gap_is_remembered_beyond_a_saddle_and_the_least_gradient_is_not():
    one = penalty_game(-10.0)
    by_gap = eqsolve.solve(one, LBFGS("product", lam=1.0, perturb=0.0, keep="gap"))
    assert by_gap.state.escapes == 1
    assert by_gap.gap.upper <= np.min(by_gap.history["nash_gap"]) + 1e-12
    by_gradient = eqsolve.solve(one, LBFGS("product", lam=1.0, perturb=0.0, keep="gradient"))
    assert by_gradient.value == pytest.approx(8.652, abs=1e-3)


@pytest.mark.parametrize("name", ["penalty", "dense", "ragged", "factored"])
def test_recorded_gaps_are_those_of_the_certificate(name):
    one = game(name)
    for algorithm in (
        BarrierPolicyIteration(lam=LAM, gaps=True),
        LBFGS("chain", lam=LAM, gaps=True),
        LBFGS("product", lam=0.5, gaps=True),
    ):
        for n in (1, 2):
            result = eqsolve.solve(one, algorithm, limits=Limits(iterations=n))
            assert result.history["nash_gap"][-1] == pytest.approx(result.gap.upper, abs=1e-10 * scale_of(one))
    assert "nash_gap" not in eqsolve.solve(one, LBFGS("chain", lam=LAM)).history.columns


# Budgets


@pytest.mark.parametrize("make", CLIMBERS)
def test_a_budget_is_no_convergence(make):
    one = game("dense")
    for limits, status in (
        (Limits(iterations=0), Status.OUT_OF_ITERATIONS),
        (Limits(iterations=1), Status.OUT_OF_ITERATIONS),
        (Limits(seconds=0), Status.OUT_OF_TIME),
    ):
        cut = eqsolve.solve(one, make("dense", lam=LAM), limits=limits)
        assert cut.status is status
        assert cut.iterations == (limits.iterations or 0)
        assert cut.gap.upper == nash_gap(one, cut.policy).upper > 0


def test_ctrl_c_hands_back_what_was_reached():
    def stop(iteration, record):
        if iteration == 4:
            raise KeyboardInterrupt

    result = eqsolve.solve(game("dense"), LBFGS("dense", lam=LAM), progress=stop)
    cut = eqsolve.solve(game("dense"), LBFGS("dense", lam=LAM), limits=Limits(iterations=5))
    assert result.status is Status.INTERRUPTED
    assert result.iterations == 5
    assert logits_of(result.policy).tobytes() == logits_of(cut.policy).tobytes()


# Reports


@pytest.mark.parametrize(
    "algorithm",
    [
        *(make("dense", lam=LAM) for make in CLIMBERS[:-1]),
        Reinforce("chain", lam=LAM, rounds=3, episodes=20),
        Continuation(LBFGS("product", lam=LAM)),
        OccupancyBarrier(lam=LAM),
        NetworkSearch(edges=1, lam=LAM, starts=1, rounds=20),
        NetworkSearch(edges=1, lam=LAM, starts=1, rounds=20, search="exhaustive"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_reports_tables_and_json(algorithm):
    one = game("penalty")
    result = eqsolve.solve(one, algorithm, limits=Limits(iterations=50))
    text = str(result)
    for words in ("Nash gap", "optimality gap", type(algorithm).__name__, "network"):
        assert words in text
    found = json.loads(json_text(result.to_json()))
    assert found["optimality_gap"]["upper"] == result.optimality.upper == optimality_gap(one, result.policy).upper
    assert found["gap"]["upper"] == result.gap.upper
    assert [tuple(edge) for edge in found["edges"]] == list(result.policy.network.edges)
    head, *rows = result.tables()["policy.csv"]
    assert head == ("agent", "state", "given", "action", "probability")
    assert len(rows) == sum(table.size for table in result.policy.tables)
    assert [row[-1] for row in rows] == np.concatenate([table.reshape(-1) for table in result.policy.tables]).tolist()
    labels = {row[3] for row in rows}
    assert labels == {"left", "safe", "right"}
    given = {row[2] for row in rows if row[0] == "agent 1"}
    assert given == ({""} if not result.policy.network.parents[1] else {f"agent 0: {a}" for a in labels})


def test_a_policy_too_large_for_a_table_is_left_out_of_it(monkeypatch):
    monkeypatch.setattr("eqsolve.bayesian_network.result.ROWS", 4)
    rows = eqsolve.solve(game("penalty"), LBFGS("dense", lam=LAM)).tables()["policy.csv"]
    assert [row[0] for row in rows[1:]] == ["agent 0"] * 3


def test_where_the_joint_space_is_too_large_the_result_says_so():
    one = CooperativeMarkovGame([2] * 40, None, [(tuple(range(i, i + 2)), np.eye(2)[None]) for i in range(39)], 0.0)
    result = eqsolve.solve(one, AgentwiseBarrierIteration("product", lam=LAM), limits=Limits(iterations=2))
    assert result.optimality is not None  # by elimination
    assert result.optimality.upper >= result.gap.upper
    assert [bound.name for bound in result.bounds] in ([], ["Nash gap near a stationary point, corrected"])


def test_the_default_is_the_joint_policy_where_it_is_small_and_a_chain_elsewhere():
    assert isinstance(eqsolve.solve(game("penalty"), limits=Limits(iterations=0)).algorithm, BarrierPolicyIteration)
    large = CooperativeMarkovGame([4] * 12, None, [((i, i + 1), np.eye(4)[None]) for i in range(11)], 0.0)
    algorithm = eqsolve.solve(large, limits=Limits(iterations=0)).algorithm
    assert isinstance(algorithm, AgentwiseBarrierIteration)
    assert algorithm.network == "chain"


# Bad input


@pytest.mark.parametrize("make", [*CLIMBERS, OccupancyBarrier, NetworkSearch])
@pytest.mark.parametrize("lam", [0, -1.0, np.nan, np.inf, True, None, "small", [0.1], 1j])
def test_a_lambda_that_is_no_positive_number_is_refused(make, lam):
    with pytest.raises(InvalidData, match="lam is"):
        make(lam=lam)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tolerance": 0}, "tolerance is 0"),
        ({"tolerance": -1e-8}, "tolerance is -1e-08"),
        ({"tolerance": np.nan}, "tolerance is nan"),
        ({"tolerance": True}, "tolerance is True"),
        ({"tolerance": None}, "tolerance is None"),
        ({"perturb": -1e-3}, "perturb is -0.001"),
        ({"perturb": np.inf}, "perturb is inf"),
        ({"perturb": False}, "perturb is False"),
        ({"second_order": 1}, "second_order is 1, not True or False"),
        ({"second_order": None}, "second_order is None"),
        ({"gaps": "yes"}, "gaps is 'yes'"),
        ({"network": 3}, "network is 3"),
        ({"network": None}, "network is None"),
        ({"network": ((0, 1), (1, 0))}, "cycle"),
        ({"network": ((0, 1), (1, 2), (2, 0))}, "cycle"),
        ({"network": ((0, 0),)}, "its own parent"),
        ({"network": ((0, 1), (0, 1))}, "twice"),
        ({"network": ((0, 1, 2),)}, "not a pair"),
        ({"network": (3,)}, "not a pair"),
        ({"network": ((0, np.nan),)}, "not a whole number"),
        ({"network": ((0, np.inf),)}, "not a whole number"),
        ({"network": ((0, 0.5),)}, "not a whole number"),
        ({"network": ((0, True),)}, "not a whole number"),
        ({"network": (("a", "b"),)}, "not a whole number"),
        ({"network": ((0, -1),)}, "does not exist"),
        ({"network": ((0, 10**12),)}, "names agent 1000000000000"),
    ],
    ids=lambda one: str(one)[:40],
)
@pytest.mark.parametrize("make", CLIMBERS)
def test_bad_parameters_are_refused(make, options, words):
    with pytest.raises(InvalidData, match=words):
        make(**options)


@pytest.mark.parametrize("make", CLIMBERS)
def test_unknown_names_are_refused(make):
    with pytest.raises(UnknownName, match="network 'dens'"):
        make("dens")
    with pytest.raises(UnknownName, match="keep 'value'"):
        make(keep="value")


@pytest.mark.parametrize("make", CLIMBERS)
def test_a_network_of_other_agents_is_refused(make):
    with pytest.raises(InvalidNetwork, match="names agent 5, which does not exist"):
        eqsolve.solve(game("penalty"), make(((0, 5),), lam=LAM))


@pytest.mark.parametrize("make", [BarrierPolicyIteration, OccupancyBarrier])
@pytest.mark.parametrize("network", ["product", "chain", ((0, 1),)])
def test_methods_for_dense_networks_refuse_others_at_once(make, network):
    with pytest.raises(InvalidNetwork, match=f"{make.__name__} is for dense networks; this one has"):
        eqsolve.solve(game("one state"), make(network=network, lam=LAM))


@pytest.mark.parametrize(
    "given", [np.array([[0, 1], [0, 2]]), [[0, 1], [0, 2]], [(0.0, 1.0), (0, 2)], BayesianNetwork(((), (0,), (0,)))]
)
def test_edges_come_in_several_forms(given):
    algorithm = LBFGS(given, lam=LAM)
    assert algorithm.network == ((0, 1), (0, 2))
    assert algorithm == LBFGS(((0, 2), (0, 1)), lam=LAM)
    assert eqsolve.solve(game("one state"), algorithm, limits=Limits(iterations=1)).policy.network.parents == ((), (0,), (0,))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LBFGS(memory_size=0), "memory_size is 0"),
        (lambda: LBFGS(memory_size=2.5), "memory_size is 2.5"),
        (lambda: LBFGS(memory_size=True), "memory_size is True"),
        (lambda: NaturalGradient(step_size=0), "step_size is 0"),
        (lambda: NaturalGradient(step_size=np.nan), "step_size is nan"),
        (lambda: BNPolicyGradient(step_size=-1), "step_size is -1"),
        (lambda: BNPolicyGradient(step_size="auto"), "step_size is 'auto'"),
        (lambda: BNPolicyGradient(line_search=1), "line_search is 1"),
        (lambda: AgentwiseBarrierIteration(simultaneous=None), "simultaneous is None"),
    ],
)
def test_bad_parameters_of_single_methods_are_refused(make, words):
    with pytest.raises(InvalidData, match=words):
        make()
