"""Finite processes through the driver: every algorithm on textbook cases, budgets, resumption, files, verdicts, programs."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest

import eqsolve
from eqsolve.backends import Limits
from eqsolve.certificates import certify
from eqsolve.driver import Checkpoints, NothingReached, Result, Status
from eqsolve.errors import BackendUnsupported, InvalidData, UnknownName
from eqsolve.mdp import (
    BackwardInduction,
    FiniteMDP,
    InvalidMDP,
    MDPPolicy,
    ModifiedPolicyIteration,
    OccupancyLP,
    PolicyIteration,
    ValueIteration,
    forest,
    optimality_gap,
)
from tests.mdp.instances import best_by_enumeration, dense, random_process, slippery_grid
from tests.mdp.textbook import CASES

ENDLESS = [case for case in CASES if case.mdp.horizon is None]
FINITE = [case for case in CASES if case.mdp.horizon is not None]
DISCOUNTED = (ModifiedPolicyIteration(), PolicyIteration(), ValueIteration())


def named(algorithm) -> str:
    return type(algorithm).__name__


def finite_process(seed: int = 0, horizon: int = 6) -> FiniteMDP:
    rng = np.random.default_rng(seed)
    S, A = 5, 3
    kernels = [rng.dirichlet(np.ones(S), S * A) for _ in range(horizon)]
    return FiniteMDP(np.full(S, A), kernels, rng.normal(size=(horizon, S * A)), 0.9, horizon=horizon, terminal=rng.normal(size=S))


def same(one: Result, other: Result) -> None:
    """Policy, history, certificate and verdict: bit for bit."""
    assert one.policy.probability.tobytes() == other.policy.probability.tobytes()
    assert one.history.equals(other.history)
    assert one.gap == other.gap
    assert (one.status, one.reason, one.value) == (other.status, other.reason, other.value)


@pytest.mark.parametrize("algorithm", [*DISCOUNTED, OccupancyLP()], ids=named)
@pytest.mark.parametrize("case", ENDLESS, ids=attrgetter("name"))
def test_textbook(case, algorithm):
    result = eqsolve.solve(case.mdp, algorithm)
    scale = 1.0 + np.abs(case.values).max()
    assert result.status is Status.CONVERGED
    assert result.gap.upper <= 1e-7 * scale
    assert result.value == pytest.approx(case.mdp.initial @ case.values, abs=1e-7 * scale)
    assert result.gap == optimality_gap(case.mdp, result.policy.probability)
    if case.choice is not None:
        assert np.array_equal(result.policy.choice(case.mdp), case.choice)


@pytest.mark.parametrize("algorithm", [BackwardInduction(), OccupancyLP()], ids=named)
@pytest.mark.parametrize("case", FINITE, ids=attrgetter("name"))
def test_textbook_with_a_horizon(case, algorithm):
    result = eqsolve.solve(case.mdp, algorithm)
    assert result.status is Status.CONVERGED
    assert result.value == pytest.approx(case.mdp.initial @ case.values, abs=1e-9 * (1.0 + np.abs(case.values).max()))
    if case.choice is not None and case.choice.ndim == 2 and case.mdp.initial.all():
        reached = result.policy.choice(case.mdp)
        assert reached.shape == (case.mdp.horizon, case.mdp.n_states)


@pytest.mark.parametrize("backend", ["native", "highs", "scipy", "cvxpy:CLARABEL"])
@pytest.mark.parametrize("form", ["primal", "dual"])
def test_the_program_by_every_backend(backend, form):
    mdp = forest(6, 0.9)
    result = eqsolve.solve(mdp, OccupancyLP(form=form), backend=backend)
    assert result.status is Status.CONVERGED
    assert result.outcome.backend == backend
    assert result.iterations == 1
    assert result.gap.upper <= 1e-6 * (1.0 + abs(result.value))
    assert certify(result.program(), result.outcome).holds(1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_every_algorithm_finds_the_best_of_all_policies(seed):
    mdp = random_process(np.random.default_rng(seed))
    best = mdp.initial @ best_by_enumeration(mdp)
    for algorithm in (*DISCOUNTED, OccupancyLP(), OccupancyLP("primal", "simplex")):
        result = eqsolve.solve(mdp, algorithm)
        assert result.is_converged
        # The bracket that the modified method ends with is 2e-8 wide at most.
        assert result.value == pytest.approx(best, abs=1e-6 * (1.0 + abs(best)))
        assert result.gap.lower <= best - result.value + 1e-9 * (1.0 + abs(best))


def test_the_default_goes_by_the_horizon():
    assert named(eqsolve.solve(forest()).algorithm) == "ModifiedPolicyIteration"
    assert named(eqsolve.solve(finite_process()).algorithm) == "BackwardInduction"


@pytest.mark.parametrize("algorithm", DISCOUNTED, ids=named)
def test_the_record_brackets_the_value(algorithm):
    mdp = slippery_grid(6, 0.95)
    result = eqsolve.solve(mdp, algorithm)
    best = mdp.initial @ np.linalg.solve(
        np.eye(mdp.n_states) - mdp.gamma * dense(mdp)[mdp.first[:-1] + result.policy.choice(mdp)],
        mdp.reward[mdp.first[:-1] + result.policy.choice(mdp)],
    )
    lower, upper, width = (np.asarray(result.history[name]) for name in ("lower", "upper", "width"))
    assert (lower <= best + 1e-11).all()
    assert (upper >= best - 1e-11).all()
    assert (np.diff(width) <= 0).all()
    assert (upper - lower <= width + 1e-12 * (1.0 + best)).all()


@pytest.mark.parametrize("algorithm", [PolicyIteration(), ValueIteration(), ModifiedPolicyIteration(reduction=0.9)], ids=named)
def test_a_budget_ends_with_a_true_gap(algorithm):
    mdp = slippery_grid(6, 0.95)
    full = eqsolve.solve(mdp, algorithm)
    assert full.iterations > 2
    optimal = full.value
    for n in range(1, min(full.iterations, 6)):
        cut = eqsolve.solve(mdp, algorithm, limits=Limits(iterations=n))
        assert cut.status is Status.OUT_OF_ITERATIONS
        assert cut.iterations == n
        assert cut.history["width"].tolist() == full.history["width"][:n].tolist()
        assert cut.gap.lower - 1e-9 <= optimal - cut.value <= cut.gap.upper + 1e-9
    none = eqsolve.solve(mdp, algorithm, limits=Limits(iterations=0))
    assert none.status is Status.OUT_OF_ITERATIONS
    assert not none.policy.choice(mdp).any()


def test_a_budget_leaves_backward_induction_with_first_actions_and_their_gap():
    mdp = finite_process()
    full = eqsolve.solve(mdp)
    assert full.history["step"].tolist() == [5, 4, 3, 2, 1, 0]
    for n in range(full.iterations):
        cut = eqsolve.solve(mdp, limits=Limits(iterations=n))
        assert cut.status is Status.OUT_OF_ITERATIONS
        choice = cut.policy.choice(mdp)
        assert not choice[: 6 - n].any()
        assert np.array_equal(choice[6 - n :], full.policy.choice(mdp)[6 - n :])
        assert cut.gap.lower <= full.value - cut.value + 1e-12
        assert full.value - cut.value <= cut.gap.upper + 1e-12
    assert cut.gap.upper < eqsolve.solve(mdp, limits=Limits(iterations=0)).gap.upper


def test_a_program_without_time_reaches_nothing():
    with pytest.raises(NothingReached, match="before its program was answered"):
        eqsolve.solve(forest(), OccupancyLP(), limits=Limits(iterations=0))


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize(
    ("algorithm", "build"),
    [
        (ModifiedPolicyIteration(tolerance=1e-10), lambda: slippery_grid(7, 0.99)),
        (PolicyIteration(), lambda: slippery_grid(7, 0.99)),
        (ValueIteration(memory=3), lambda: slippery_grid(7, 0.99)),
        (BackwardInduction(), finite_process),
    ],
    ids=["modified", "policy", "value", "backward"],
)
def test_a_resumed_run_is_the_uninterrupted_one(algorithm, build, cut, tmp_path):
    full = eqsolve.solve(build(), algorithm)
    assert full.iterations > cut
    eqsolve.solve(build(), algorithm, limits=Limits(iterations=cut), checkpoint=Checkpoints(tmp_path, seconds=0))
    resumed = eqsolve.solve(build(), algorithm, checkpoint=Checkpoints(tmp_path, seconds=0, resume=True))
    same(resumed, full)
    assert resumed.iterations == full.iterations


@pytest.mark.parametrize(
    ("algorithm", "mdp"),
    [*((one, forest(5, 0.95)) for one in (*DISCOUNTED, OccupancyLP())), (BackwardInduction(), finite_process())],
    ids=lambda one: named(one) if not isinstance(one, FiniteMDP) else "",
)
def test_a_saved_run_is_certified_again_from_its_files(algorithm, mdp, tmp_path):
    result = eqsolve.solve(mdp, algorithm)
    back = Result.load(result.save(tmp_path / "run"))
    same(back, result)
    assert back.recertified() == result.gap
    assert back.program().name == "occupancy"
    assert back.program("value").n_rows == mdp.n_steps * mdp.n_pairs


@pytest.mark.parametrize("algorithm", [ModifiedPolicyIteration(1e-15), ValueIteration(1e-15), PolicyIteration()], ids=named)
def test_what_rounding_leaves_of_a_finer_tolerance_is_convergence(algorithm):
    mdp = slippery_grid(4, 0.9)
    result = eqsolve.solve(mdp, algorithm)
    assert algorithm.ending(result.state) == "at rounding"
    assert result.status is Status.CONVERGED
    assert 1e-15 < result.state.width <= 1e-11


def test_stalled_is_told_from_converged():
    """One state that loops with gamma so close to 1 that rounding makes the bracket wider than anybody would call exact."""
    mdp = FiniteMDP([2, 1], [[0.3, 0.7], [0.6, 0.4], [0.5, 0.5]], [1.0, 0.3, -1.0], 1.0 - 1e-12)
    for algorithm in (ModifiedPolicyIteration(), ValueIteration()):
        result = eqsolve.solve(mdp, algorithm)
        assert result.status is Status.STALLED
        assert "parameters" in result.status.remedy
        assert result.state.width > 1e-9 * (1.0 + np.abs(result.state.upper).max())
        assert result.gap.lower <= result.gap.upper


@pytest.mark.parametrize("algorithm", [*DISCOUNTED, OccupancyLP()], ids=named)
def test_programs_of_a_run(algorithm):
    mdp = forest(4, 0.9)
    result = eqsolve.solve(mdp, algorithm)
    assert result.program().n_columns == mdp.n_pairs
    assert str(result.program("occupancy")) == str(result.program())
    value = eqsolve.solve(mdp, OccupancyLP()).program("value")
    assert result.program("value").n_columns == value.n_columns == mdp.n_states
    for which in (("values",), ("occupancy", 1), (3,)):
        with pytest.raises(InvalidData, match=r"no program .* of an MDP\n  Give 'occupancy' or 'value'"):
            result.program(*which)
    refused = algorithm.select(mdp, "value", lambda: pytest.fail("nothing is to be solved for a program of the process"))
    assert refused.name == "values"


@pytest.mark.parametrize("bad", [-1e-9, np.nan, np.inf, "small", None, True, [1e-8]])
@pytest.mark.parametrize("method", [ModifiedPolicyIteration, PolicyIteration, ValueIteration])
def test_bad_tolerances_are_refused(method, bad):
    with pytest.raises(InvalidData, match="tolerance"):
        method(tolerance=bad)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ModifiedPolicyIteration(reduction=0.0), "reduction is 0"),
        (lambda: ModifiedPolicyIteration(reduction=1), "reduction is 1"),
        (lambda: ModifiedPolicyIteration(sweeps=0), "sweeps is 0"),
        (lambda: ModifiedPolicyIteration(sweeps=2.5), "sweeps is 2.5"),
        (lambda: ModifiedPolicyIteration(krylov="no"), "krylov is 'no', not True or False"),
        (lambda: ValueIteration(memory=-1), "memory is -1"),
        (lambda: ValueIteration(memory=None), "memory is None"),
        (lambda: ValueIteration(patience=-1), "patience is -1"),
    ],
)
def test_bad_parameters_are_refused(make, words):
    with pytest.raises(InvalidData, match=words):
        make()


def test_requests_that_do_not_fit_are_refused():
    with pytest.raises(UnknownName, match="form of the occupancy program 'prime'"):
        OccupancyLP(form="prime")
    with pytest.raises(UnknownName, match="method of HiGHS 'simplx'"):
        OccupancyLP(method="simplx")
    with pytest.raises(BackendUnsupported, match="one of HiGHS"):
        eqsolve.solve(forest(), OccupancyLP(method="ipm"), backend="scipy")
    for algorithm in DISCOUNTED:
        with pytest.raises(InvalidMDP, match=f"{named(algorithm)} is for discounted .* horizon 6"):
            eqsolve.solve(finite_process(), algorithm)
    with pytest.raises(InvalidMDP, match="backward induction needs a horizon"):
        eqsolve.solve(forest(), BackwardInduction())
    with pytest.raises(InvalidMDP, match="beyond the range"):
        eqsolve.solve(FiniteMDP([1], [[1.0]], [1e300], horizon=10), BackwardInduction())


@pytest.mark.parametrize("mdp", [forest(4, 0.9), finite_process()], ids=["endless", "finite"])
def test_a_policy_that_is_worse_is_objected_to(mdp):
    result = eqsolve.solve(mdp)
    bad = MDPPolicy(mdp.deterministic(np.where(result.policy.choice(mdp) == 0, 1, 0)))
    gap = optimality_gap(mdp, bad.probability)
    assert gap.lower > 1e-3
    refuted = replace(result, policy=bad, gap=gap).judged()
    assert refuted.status is Status.REFUTED
    assert f"the gap {gap.upper:.3g} is above" in refuted.reason
