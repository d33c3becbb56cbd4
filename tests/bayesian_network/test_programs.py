"""The explicit programs of a game: by native and by generic backends, against the methods, and as an algorithm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import eqsolve
from eqsolve.backends import solve_program
from eqsolve.bayesian_network import CooperativeMarkovGame, coordination_line, penalty_game, random_cooperative
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
from eqsolve.bayesian_network.central_path import OccupancyBarrier, central_path_program
from eqsolve.bayesian_network.certificate import optimality_gap
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.programs import barrier_program, named_program
from eqsolve.certificates import certify
from eqsolve.driver import NothingReached, Status
from eqsolve.errors import BackendUnsupported, InvalidData, InvalidGame, UnknownName
from eqsolve.mdp.recovery import occupancy_of
from eqsolve.programs import Update
from tests.backends.usable import able_backends
from tests.bayesian_network import oracle
from tests.bayesian_network.methods import METHODS, game, rescaled, unreachable_state

CONCAVE = ("penalty", "climbing", "one state", "no future")
"""Games whose visits do not depend on the policy."""
ALL = ("penalty", "dense", "sparse", "factored", "ragged", "one agent", "no future", "unreachable", "nothing to do")
CONIC = ("cvxpy:CLARABEL", "cvxpy:SCS")


def conic(program):
    """Native and the generic conic backends that are usable here."""
    found = [one for one in able_backends(program) if one in ("native", *CONIC)]
    assert "native" in found
    assert "cvxpy:CLARABEL" in found
    return found


# The barrier objective as a program


@pytest.mark.parametrize("lam", [1.0, 0.1])
@pytest.mark.parametrize("name", CONCAVE)
def test_the_barrier_program_is_what_dense_methods_climb(name, lam):
    one = game(name)
    climbed = [eqsolve.solve(one, BarrierPolicyIteration(lam=lam)), eqsolve.solve(one, LBFGS("dense", lam=lam))]
    program = named_program(one, lam, "barrier")
    assert str(program) == str(named_program(one, lam)) == str(barrier_program(one, lam)) == str(climbed[0].program())
    assert program.kind == "EXP"
    for backend in conic(program):
        outcome = solve_program(program, backend)
        assert certify(program, outcome).holds(1e-6), backend
        for result in climbed:
            assert outcome.objective == pytest.approx(result.state.objective, abs=1e-6)
        joint = outcome.x[: program.n_columns // 2].reshape(one.n_states, *one.n_actions)
        assert joint == pytest.approx(climbed[0].policy.joint(), abs=2e-4)
    native = solve_program(program, "native")
    assert native.objective == pytest.approx(climbed[0].state.objective, abs=1e-10)


def test_no_method_climbs_above_the_barrier_program():
    for name in CONCAVE:
        one = game(name)
        most = solve_program(barrier_program(one, 0.1), "native").objective
        for network in ("product", "chain", "dense"):
            for make in (METHODS["agentwise"], METHODS["LBFGS"]):
                assert eqsolve.solve(one, make(network, lam=0.1)).state.objective <= most + 1e-10


def test_where_the_objective_is_not_concave_there_is_no_barrier_program():
    with pytest.raises(InvalidGame, match=r"3 states and discount 0\.8 is not concave\n  Ask for the program 'central-path'"):
        barrier_program(game("dense"), 0.1)
    assert named_program(game("dense"), 0.1).name == "occupancy with log barrier"


# Visits with a barrier


def best_value(one):
    return oracle.best_value(one)


@pytest.mark.parametrize("lam", [1.0, 0.05])
@pytest.mark.parametrize("name", ALL)
def test_the_central_path_is_lambda_away_from_the_best_value(name, lam):
    """The duality gap is lambda: the reward of the visits and the value of the dual point differ by it, the best value between."""
    one = game(name)
    program = named_program(one, lam, "central-path")
    best, mdp = best_value(one), one.joint_mdp()
    scale = 1.0 / one.initial.max()
    reference = None
    for backend in conic(program):
        outcome = solve_program(program, backend)
        if backend == "cvxpy:SCS" and not outcome.is_optimal:
            continue  # a first-order method; it says so
        assert certify(program, outcome).holds(1e-6), backend
        d = occupancy_of(mdp, program, outcome)
        earned = float(mdp.reward @ d)
        v = outcome.y[program.row_block("flow").slice]
        promised = float(v @ one.initial)
        loose = 1e-10 if backend == "native" else 1e-4
        assert promised - earned == pytest.approx(lam, abs=loose * (1 + abs(best)))
        assert earned - loose <= best <= promised + loose * (1 + abs(best))
        reference = outcome.objective if reference is None else reference
        assert outcome.objective == pytest.approx(reference, abs=1e-6 * scale * (1 + abs(best)))


@pytest.mark.parametrize("lam", [1.0, 0.05])
@pytest.mark.parametrize("name", ALL)
def test_the_policy_on_the_central_path_is_within_lambda_of_the_best(name, lam):
    one = game(name)
    result = eqsolve.solve(one, OccupancyBarrier(lam=lam), backend="native")
    assert result.status is Status.CONVERGED
    assert result.optimality == optimality_gap(one, result.policy)
    assert result.optimality.upper <= lam * (1 + 1e-9)
    assert result.value >= best_value(one) - lam * (1 + 1e-9)
    assert result.bounds[0].value == lam
    assert result.outcome.backend == "native"
    assert result.policy.network.is_dense
    for table in result.policy.tables:
        assert (table > 0).all() or name == "unreachable"


def entropy_by_hand(one, joint, lam):
    """The reward of a policy plus lambda times the entropy of its normalised visits."""
    x = (1 - one.gamma) * oracle.visits(one, joint)[:, None] * joint
    return float(oracle.values(one, joint) @ one.initial) - lam * float((x[x > 0] * np.log(x[x > 0])).sum())


@pytest.mark.parametrize("name", ALL)
def test_the_entropy_of_visits(name):
    one = game(name)
    lam = 0.3 * max(1.0, one.value_span) if one.n_joint > 1 else 0.3
    program = named_program(one, lam, "entropy")
    outcome = solve_program(program, "native")
    assert certify(program, outcome).holds(1e-8)
    scale = 1.0 / one.initial.max()
    generic = solve_program(program, "cvxpy:CLARABEL")
    if generic.is_optimal:  # where visits nearly vanish it may stop short, and says so
        assert certify(program, generic).holds(1e-6)
        assert outcome.objective == pytest.approx(generic.objective, abs=1e-6 * scale * (1 + one.value_span))
    result = eqsolve.solve(one, OccupancyBarrier(lam=lam, kind="entropy"), backend="native")
    assert result.status is Status.CONVERGED
    assert result.optimality.upper <= lam * np.log(one.n_states * one.n_joint) + 1e-9
    joint = result.policy.joint().reshape(one.n_states, -1)
    reached = entropy_by_hand(one, joint, lam)
    assert reached == pytest.approx(outcome.objective / scale, abs=1e-8 * (1 + one.value_span))
    rng = np.random.default_rng(0)
    for spread in (1.0, 1e-2):
        for _ in range(20):
            other = joint * np.exp(spread * rng.standard_normal(joint.shape))
            assert entropy_by_hand(one, other / other.sum(axis=1, keepdims=True), lam) <= reached + 1e-9


@pytest.mark.parametrize("kind", ["log", "entropy"])
@pytest.mark.parametrize("lam", [1e-3, 1e-6])
@pytest.mark.parametrize(
    "build",
    [
        unreachable_state,
        lambda: unreachable_state(0.99),
        lambda: random_cooperative(4, (2, 3), gamma=0.99, seed=3),
        lambda: random_cooperative(2, (1, 1), gamma=0.9, seed=3),
        penalty_game,
        lambda: rescaled(random_cooperative(3, (2, 2), gamma=0.9, seed=4), 1.0, -1e3),
    ],
    ids=["unreachable", "long unreachable", "long", "no choice", "penalty", "far from zero"],
)
def test_native_follows_the_path_to_weak_barriers(build, lam, kind):
    """Slacks that are differences of large values, visits below the smallest number, multipliers that are negative."""
    one = build()
    program = central_path_program(one, lam, kind)
    outcome = solve_program(program, "native")
    assert certify(program, outcome).holds(1e-6)
    result = eqsolve.solve(one, OccupancyBarrier(lam=lam, kind=kind), backend="native")
    assert result.status is Status.CONVERGED
    assert result.optimality.upper <= result.bounds[0].value + 1e-9 * (1 + abs(result.value))


def test_states_that_are_never_met_play_uniformly_and_have_no_visits():
    one = unreachable_state()
    program = central_path_program(one, 0.1)
    outcome = solve_program(program, "native")
    d = outcome.x[:12].reshape(3, 4)
    assert d[2].tolist() == [0.0] * 4
    assert (d[:2] > 0).all()
    assert len(program.cones) == 8
    policy = eqsolve.solve(one, OccupancyBarrier(lam=0.1)).policy
    assert policy.joint()[2] == pytest.approx(0.25, abs=1e-15)


def test_without_a_future_only_the_first_states_count():
    one = CooperativeMarkovGame((2,), np.full((4, 2), 0.5), [[1.0, 0.0], [0.0, 1.0]], 0.0, initial=[1.0, 0.0])
    outcome = solve_program(central_path_program(one, 0.1), "native")
    assert outcome.x[2:4].tolist() == [0.0, 0.0]
    u = 0.5 * (-0.9 + np.sqrt(0.81 + 0.2))  # kappa / u + kappa / (u + 1) = 1 with kappa = lambda / 2
    assert outcome.x[:2] == pytest.approx([0.05 / u, 0.05 / (u + 1.0)], abs=1e-10)


@pytest.mark.parametrize("kind", ["log", "entropy"])
def test_native_refuses_central_paths_that_have_changed_and_takes_other_rewards(kind):
    one = game("dense")
    program = central_path_program(one, 0.2, kind)
    K = program.n_columns // 2
    for part, at, by in (
        ("row_lower", 0, -0.1),
        ("row_upper", 0, 0.1),
        ("col_upper", 0, -0.1),
        ("col_lower", 1, 0.01),
        ("col_upper", K, -0.01),
        ("c", K, 0.01),
    ):
        values = getattr(program, part).copy()
        values[at] += by
        with pytest.raises(BackendUnsupported, match="have changed"):
            solve_program(program.with_values(Update(**{part: values})), "native")
    with pytest.raises(BackendUnsupported, match="other columns"):
        solve_program(replace(program, sense="min", c=-program.c), "native")
    c = program.c.copy()
    c[:K] = np.random.default_rng(0).random(K)
    moved = program.with_values(Update(c=c))
    outcome = solve_program(moved, "native")
    assert certify(moved, outcome).holds(1e-8)
    assert outcome.objective != pytest.approx(solve_program(program, "native").objective, abs=1e-3)


# Linear programs over visits and values


@pytest.mark.parametrize("backend", ["native", "highs", "scipy"])
@pytest.mark.parametrize("name", ALL)
def test_the_linear_programs_have_the_best_value(name, backend):
    one = game(name)
    for which in ("occupancy", "value"):
        program = named_program(one, 0.1, which)
        outcome = solve_program(program, backend)
        assert program.kind == "LP"
        assert certify(program, outcome).holds(1e-7)
        assert outcome.objective * one.initial.max() == pytest.approx(best_value(one), abs=1e-7 * (1 + one.value_span))


def test_programs_by_name_from_every_result():
    one = game("one state")
    for algorithm in (LBFGS("product"), OccupancyBarrier(), AgentwiseBarrierIteration()):
        result = eqsolve.solve(one, algorithm)
        for which in ("barrier", "central-path", "entropy", "occupancy", "value"):
            assert str(result.program(which)) == str(named_program(one, algorithm.lam, which))
            refused = algorithm.select(one, which, lambda: pytest.fail("nothing needs to be solved for a program of the game"))
            assert str(refused) == str(result.program(which))
        with pytest.raises(UnknownName, match="program 'barier'"):
            result.program("barier")
        with pytest.raises(UnknownName, match="program 'occupancy:1'"):
            result.program("occupancy", 1)
        with pytest.raises(UnknownName, match="program 'stage:3'"):
            algorithm.select(one, "stage:3", lambda: pytest.fail("nothing needs to be solved"))
    assert eqsolve.solve(one, OccupancyBarrier()).program().name == "occupancy with log barrier"
    assert OccupancyBarrier().select(one, "", pytest.fail).name == "occupancy with log barrier"
    assert LBFGS().select(one, "", pytest.fail).name == "barrier objective"


def test_a_program_reads_like_the_definition():
    program = central_path_program(game("penalty"), 0.1)
    text = str(program)
    for words in ("occupancy with log barrier", "EXP", "maximise", "d[", "flow", "mass", "lambda 0.1"):
        assert words in text


# As an algorithm


@pytest.mark.parametrize("backend", ["native", *CONIC])
@pytest.mark.parametrize("kind", ["log", "entropy"])
def test_the_algorithm_by_every_backend(backend, kind):
    one = game("dense")
    result = eqsolve.solve(one, OccupancyBarrier(lam=0.5, kind=kind), backend=backend)
    assert result.status is Status.CONVERGED
    assert result.outcome.backend == backend
    assert result.iterations == 1
    assert certify(result.program(), result.outcome).holds(1e-6)
    assert result.optimality.upper <= result.bounds[0].value
    native = eqsolve.solve(one, OccupancyBarrier(lam=0.5, kind=kind), backend="native")
    for a, b in zip(result.policy.tables, native.policy.tables, strict=True):
        assert a == pytest.approx(b, abs=1e-4)


def test_an_order_of_the_agents_changes_nothing_but_the_tables():
    one = game("dense")
    forth, back = (eqsolve.solve(one, OccupancyBarrier(lam=0.1, network=edges)) for edges in (((0, 1),), ((1, 0),)))
    assert forth.policy.network.parents == ((), (0,))
    assert back.policy.network.parents == ((1,), ())
    assert forth.policy.joint() == pytest.approx(back.policy.joint(), abs=1e-12)


def test_a_backend_that_cannot_is_refused_and_no_time_reaches_nothing():
    with pytest.raises(BackendUnsupported, match="scipy"):
        eqsolve.solve(game("dense"), OccupancyBarrier(), backend="scipy")
    with pytest.raises(NothingReached, match="before its program was answered"):
        eqsolve.solve(game("dense"), OccupancyBarrier(), limits=eqsolve.Limits(seconds=0))


def test_games_that_are_too_large_are_refused_with_their_size():
    large = coordination_line(40, 3)
    with pytest.raises(InvalidGame, match=r"the joint process has 1\.2e\+19 state-action pairs"):
        central_path_program(large, 0.1)
    with pytest.raises(InvalidGame, match="cones"):
        barrier_program(large, 0.1)
    middle = coordination_line(12, 3)  # 531,441 joint actions
    with pytest.raises(InvalidGame, match="531,441"):
        named_program(middle, 0.1, "central-path")
    with pytest.raises(InvalidGame, match="531,441"):
        named_program(middle, 0.1, "barrier")
    for which in ("occupancy", "value"):
        with pytest.raises(InvalidGame, match="joint"):
            named_program(large, 0.1, which)
    with pytest.raises(InvalidGame, match="531,441"):
        eqsolve.solve(middle, OccupancyBarrier())


@pytest.mark.parametrize("lam", [0, -1, np.nan, True, None])
def test_bad_weights_are_refused(lam):
    for make in (central_path_program, barrier_program):
        with pytest.raises(InvalidData, match="lam is"):
            make(game("penalty"), lam)


def test_unknown_kinds_are_refused():
    with pytest.raises(UnknownName, match="kind of central path 'logs'"):
        central_path_program(game("penalty"), 0.1, "logs")
    with pytest.raises(UnknownName, match="kind of central path 'logs'"):
        OccupancyBarrier(kind="logs")
    with pytest.raises(UnknownName, match="network 'dens'"):
        OccupancyBarrier(network="dens")
