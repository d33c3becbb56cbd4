"""Continuation in lambda: stages, warm starts, the promise at every lambda, agreement with direct runs, resumption, bad input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eqsolve
from eqsolve.backends import Limits
from eqsolve.bayesian_network import barrier_objective, climbing_game, nash_gap, optimality_gap, penalty_game
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
from eqsolve.bayesian_network.central_path import OccupancyBarrier
from eqsolve.bayesian_network.continuation import Continuation
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.natural_gradient import NaturalGradient
from eqsolve.bayesian_network.network_search import NetworkSearch
from eqsolve.bayesian_network.reinforce import Reinforce
from eqsolve.driver import Checkpoints, Result, Run, Status
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData
from tests.bayesian_network import oracle
from tests.bayesian_network.methods import ENOUGH, LAM, METHODS, ByHand, game, logits_of, mismatch_by_enumeration, path_of, scale_of

KINDS = METHODS | {"joint": BarrierPolicyIteration}
CASES = [*(("penalty", how) for how in KINDS), *(("dense", how) for how in ("LBFGS", "agentwise", "joint")), ("factored", "joint")]
SAMPLING = partial(Reinforce, rounds=6, episodes=40)


@lru_cache(maxsize=32)
def stages_of(name, algorithm, steps=3000):
    """The states of a run, climb by climb."""
    one = game(name)
    climbs = {}
    for state in path_of(one, algorithm, steps):
        climbs.setdefault(state.climbs, []).append(state)
    return [climbs[k] for k in sorted(climbs)]


def lambdas(start, lam, factor):
    found = [start]
    while found[-1] > lam:
        found.append(max(lam, factor * found[-1]))
    return found


# Stages


@pytest.mark.parametrize(("name", "how"), CASES)
def test_every_climb_ends_where_the_lemmas_promise_lambda_times_the_mismatch(name, how):
    one = game(name)
    M, scale = mismatch_by_enumeration(one), scale_of(one)
    algorithm = Continuation(KINDS[how]("dense", lam=LAM))
    assert np.isfinite(M)
    stages = stages_of(name, algorithm)
    assert [stage[0].lam for stage in stages] == pytest.approx(lambdas(scale, LAM, 0.3), rel=1e-15)
    for stage in stages:
        last, lam = stage[-1], stage[-1].lam
        assert {state.lam for state in stage} == {lam}
        policy = algorithm.finish(one, last, Run())
        assert optimality_gap(one, policy).upper <= lam * M
        assert nash_gap(one, policy).upper <= optimality_gap(one, policy).upper + 1e-12 * scale
        if how != "natural gradient":  # whose gains may be lost in rounding before the tolerance is met
            assert last.inner.stationary
        gradient = np.linalg.norm(ByHand(one, policy.network, lam).gradient(logits_of(policy)))
        assert gradient <= 5e-8 * max(lam, scale)
        assert last.objective == pytest.approx(barrier_objective(one, policy, lam), abs=1e-11 * scale)


@pytest.mark.parametrize(
    ("name", "network"), [("dense", "product"), ("sparse", "chain"), ("factored", "chain"), ("penalty", "product")]
)
def test_other_networks_are_within_twice_that_of_a_nash_equilibrium(name, network):
    one = game(name)
    M, algorithm = mismatch_by_enumeration(one), Continuation(AgentwiseBarrierIteration(network, lam=LAM))
    for stage in stages_of(name, algorithm):
        policy = algorithm.finish(one, stage[-1], Run())
        gain = max(oracle.agent_gain(one, policy, i) for i in range(one.n_agents))
        assert gain <= 2 * stage[-1].lam * M
        assert nash_gap(one, policy).upper == pytest.approx(gain, abs=1e-9 * scale_of(one))


@pytest.mark.parametrize(("name", "how"), CASES)
def test_every_climb_starts_where_the_one_before_it_ended(name, how):
    one = game(name)
    stages = stages_of(name, Continuation(KINDS[how]("dense", lam=LAM)))
    assert len(stages) >= 3
    for before, after in pairwise(stages):
        ended, began = before[-1], after[0]
        assert np.abs(np.exp(began.inner.logits) - np.exp(ended.inner.logits)).max() <= 1e-15
        # The barrier weighs less: the same policy is worth no less.
        assert began.objective >= ended.objective - 1e-12 * scale_of(one)
        assert began.inner.value == pytest.approx(ended.inner.value, abs=1e-12 * scale_of(one))
        assert after[-1].objective >= began.objective - 1e-12 * scale_of(one)
        assert began.inner.memory == ()


def test_the_first_climb_starts_as_the_method_does_alone():
    one = game("dense")
    run = Run(seed=4)
    began = Continuation(LBFGS("chain", lam=LAM, perturb=0.5), start=0.7).init(one, run)
    assert (began.lam, began.climbs) == (0.7, 0)
    assert to_bytes(began.inner) == to_bytes(LBFGS("chain", lam=0.7, perturb=0.5).init(one, Run(seed=4)))


@pytest.mark.parametrize(("start", "factor"), [(None, 0.3), (None, 0.9), (None, 1e-3), (5.0, 0.5), (0.11, 0.5)])
def test_lambda_falls_by_the_factor_and_ends_at_the_methods_own(start, factor):
    one = game("penalty")
    result = eqsolve.solve(one, Continuation(AgentwiseBarrierIteration("dense", lam=LAM), start, factor), limits=ENOUGH)
    assert result.status is Status.CONVERGED
    assert result.gap.upper <= result.optimality.upper <= LAM
    want = lambdas(20.0 if start is None else start, LAM, factor)
    seen = list(dict.fromkeys(result.history["lam"].tolist()))
    assert seen == want[len(want) - len(seen) :] == want
    assert result.state.lam == LAM == want[-1]
    assert result.state.climbs == len(want) - 1
    assert result.history["objective"][-1] == result.state.objective
    assert result.history["gradient_norm"][-1] == result.state.gradient_norm


@pytest.mark.parametrize("how", [*KINDS, "sampling"])
def test_a_start_at_the_end_is_the_method_itself_bit_for_bit(how):
    one, method = game("dense"), (KINDS | {"sampling": SAMPLING})[how]("dense", lam=LAM)
    direct = eqsolve.solve(one, method, limits=Limits(iterations=60), seed=2)
    result = eqsolve.solve(one, Continuation(method, start=LAM), limits=Limits(iterations=60), seed=2)
    assert (result.gap, result.status, result.value, result.bounds) == (direct.gap, direct.status, direct.value, direct.bounds)
    assert to_bytes(result.policy) == to_bytes(direct.policy)
    assert to_bytes(result.state.inner) == to_bytes(direct.state)
    for column in direct.history.columns:
        assert result.history[column].tobytes() == direct.history[column].tobytes() or column == "seconds"


def test_a_lambda_above_the_span_of_values_is_one_climb():
    one = game("dense")
    lam = 3 * scale_of(one)
    result = eqsolve.solve(one, Continuation(LBFGS("dense", lam=lam)))
    assert result.status is Status.CONVERGED
    assert result.optimality.upper <= lam * mismatch_by_enumeration(one)
    assert result.state.climbs == 0
    assert set(result.history["lam"]) == {lam}


# Where it ends


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *(("one state", how) for how in KINDS),
        *((name, how) for name in ("climbing", "penalty", "no future") for how in ("LBFGS", "joint")),
    ],
)
def test_it_ends_at_the_objective_of_the_direct_run_where_the_objective_is_concave(name, how):
    """Over dense networks, without a future: all stationary points are the one maximum."""
    one = game(name)
    direct = eqsolve.solve(one, BarrierPolicyIteration(lam=LAM))
    result = eqsolve.solve(one, Continuation(KINDS[how]("dense", lam=LAM)), limits=ENOUGH)
    assert result.status is Status.CONVERGED or (how == "natural gradient" and result.status is Status.STALLED)
    for each in (direct, result):
        assert each.optimality.upper <= LAM
    close = 1e-9 if how == "natural gradient" else 1e-10
    assert result.state.objective == pytest.approx(direct.state.objective, abs=close * scale_of(one))
    assert result.value == pytest.approx(direct.value, abs=1e-6 * scale_of(one))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 0.95), st.floats(1e-3, 1.0))
def test_on_any_game_without_a_future_the_path_does_not_matter(seed, factor, lam):
    one, _ = oracle.random_tiny(seed, "dense", full=True)
    one = replace_discount(one)
    result = eqsolve.solve(one, Continuation(BarrierPolicyIteration(lam=lam), factor=factor), limits=ENOUGH)
    direct = eqsolve.solve(one, BarrierPolicyIteration(lam=lam), limits=ENOUGH)
    assert result.status is direct.status is Status.CONVERGED
    # Without a future M is 1, and the a-posteriori bound holds of every policy that is stationary.
    assert result.optimality.upper <= lam * mismatch_by_enumeration(one) + 1e-12
    assert result.state.objective == pytest.approx(direct.state.objective, abs=1e-10 * scale_of(one, lam))


def replace_discount(one):
    return type(one)(one.n_actions, one.kernel if one.kernel is not None else one.moves, one.reward, 0.0, initial=one.initial)


def test_following_the_optimum_down_avoids_the_poor_equilibria_of_product_policies():
    for make in (LBFGS, AgentwiseBarrierIteration):
        direct = eqsolve.solve(penalty_game(-10.0), make("product", lam=0.01))
        result = eqsolve.solve(penalty_game(-10.0), Continuation(make("product", lam=0.01)), limits=ENOUGH)
        for each in (direct, result):
            assert each.status is Status.CONVERGED
            assert each.gap.upper <= 2 * 0.01
            assert each.gap.upper == pytest.approx(0.00666, abs=1e-4)
        assert direct.value == pytest.approx(1.9867, abs=1e-4)
        assert result.value == pytest.approx(9.98667, abs=1e-4)
        assert result.optimality.upper == pytest.approx(0.01333, abs=1e-4)
    # It is no global method: the climbing game keeps it below its penalties.
    climbing = eqsolve.solve(climbing_game(), Continuation(LBFGS("product", lam=0.01)), limits=ENOUGH)
    assert climbing.status is Status.CONVERGED
    assert climbing.gap.upper <= 2 * 0.01
    assert climbing.value == pytest.approx(6.98666, abs=1e-4)


def test_a_method_that_samples_climbs_for_its_rounds_at_every_lambda():
    one = game("penalty")
    result = eqsolve.solve(one, Continuation(SAMPLING("chain", lam=LAM), start=1.0, factor=0.5), seed=1)
    want = lambdas(1.0, LAM, 0.5)
    assert len(want) == 5
    assert result.iterations == 5 * 6 + 4
    assert result.history["lam"].tolist() == [*[1.0] * 6, *(lam for lam in want[1:] for _ in range(7))]
    allowed = result.algorithm.method.accuracy * scale_of(one)
    assert result.status is (Status.CONVERGED if result.gap.upper <= allowed else Status.REFUTED)
    assert result.gap.upper == pytest.approx(max(oracle.agent_gain(one, result.policy, i) for i in range(2)), abs=1e-9)
    strict = Continuation(SAMPLING("chain", lam=LAM, accuracy=1e-9), start=1.0, factor=0.5)
    refuted = eqsolve.solve(one, strict, seed=1)
    assert refuted.status is Status.REFUTED
    assert "an agent gains" in refuted.reason


@dataclass(frozen=True, slots=True)
class Stuck(LBFGS):
    """A method that never finds anything better."""

    def advance(self, objective, state, run):
        return replace(state, moved=False)


def test_a_climb_that_stalls_passes_on_and_the_last_one_tells():
    one = game("dense")
    result = eqsolve.solve(one, Continuation(Stuck("product", lam=LAM, perturb=1.0), start=1.0, factor=0.5))
    want = lambdas(1.0, LAM, 0.5)
    assert result.status is Status.STALLED
    assert result.gap.upper == pytest.approx(max(oracle.agent_gain(one, result.policy, i) for i in range(2)), abs=1e-9)
    assert result.history["lam"].tolist() == [want[0], *(lam for lam in want[1:] for _ in range(2))]
    assert np.ptp(result.history["value"]) <= 1e-12
    assert (np.diff(result.history["objective"]) >= -1e-12).all()


@pytest.mark.parametrize("keep", ["objective", "gradient", "gap"])
def test_what_is_kept_is_kept_of_the_present_climb(keep):
    one = game("dense")
    method = AgentwiseBarrierIteration("product", lam=LAM, keep=keep, gaps=True)
    result = eqsolve.solve(one, Continuation(method), limits=ENOUGH)
    last = result.history["lam"] == LAM
    assert last.sum() > 1
    least = result.history["nash_gap"][last].min()
    assert result.gap.upper <= 2 * LAM * mismatch_by_enumeration(one)
    assert result.gap.upper >= least - 1e-12
    if keep == "gap":
        assert result.gap.upper == pytest.approx(least, abs=1e-10)


# Budgets, interruption, resumption


def test_a_budget_within_a_climb_hands_back_what_it_reached_with_the_bounds_of_its_lambda():
    one = game("penalty")
    algorithm = Continuation(LBFGS("dense", lam=LAM))
    whole = eqsolve.solve(one, algorithm)
    passages = np.flatnonzero(np.diff(whole.history["lam"])) + 1
    for n in (0, 1, int(passages[1]), int(passages[1]) + 1, whole.iterations - 1):
        cut = eqsolve.solve(one, algorithm, limits=Limits(iterations=n))
        assert cut.status is Status.OUT_OF_ITERATIONS
        assert cut.gap.upper == pytest.approx(max(oracle.agent_gain(one, cut.policy, i) for i in range(2)), abs=1e-9)
        lam = cut.state.lam
        assert lam == (20.0 if n == 0 else whole.history["lam"][n - 1])
        assert cut.state.objective == pytest.approx(barrier_objective(one, cut.policy, lam), abs=1e-9)
        promised = [bound.value for bound in cut.bounds if bound.name.startswith("Nash")]
        assert promised in ([None], [pytest.approx(2 * lam)])
        assert promised != [None] or n != passages[1]  # the end of a climb is stationary for its lambda
    late = eqsolve.solve(one, algorithm, limits=Limits(seconds=0))
    assert (late.status, late.iterations) == (Status.OUT_OF_TIME, 0)


def test_ctrl_c_hands_back_what_was_reached():
    def stop(iteration, record):
        if iteration == 9:
            raise KeyboardInterrupt

    one, algorithm = game("dense"), Continuation(LBFGS("chain", lam=LAM))
    result = eqsolve.solve(one, algorithm, progress=stop)
    cut = eqsolve.solve(one, algorithm, limits=Limits(iterations=10))
    assert result.status is Status.INTERRUPTED
    assert result.gap == cut.gap
    assert to_bytes(result.state) == to_bytes(cut.state)
    assert to_bytes(result.policy) == to_bytes(cut.policy)


@pytest.mark.parametrize("how", ["LBFGS", "agentwise", "joint", "gradient", "sampling"])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(how, tmp_path):
    one = game("penalty")
    algorithm = Continuation((KINDS | {"sampling": SAMPLING})[how]("dense", lam=LAM), factor=0.2)
    whole = eqsolve.solve(one, algorithm, seed=3)
    passages = (np.flatnonzero(np.diff(whole.history["lam"])) + 1).tolist()
    cuts = sorted({1, passages[0], passages[0] + 1, passages[-1], whole.iterations - 1})
    for k, cut in enumerate(cuts):
        asked = Checkpoints(tmp_path / "run", seconds=1e9, resume=k > 0)
        part = eqsolve.solve(one, algorithm, seed=3, checkpoint=asked, limits=Limits(iterations=cut))
        assert part.iterations == cut
    again = eqsolve.solve(one, algorithm, seed=3, checkpoint=Checkpoints(tmp_path / "run", resume=True))
    assert any(f"iteration {cuts[-1]}" in note for note in again.provenance.notes)
    assert again.history.equals(whole.history)
    assert to_bytes(again.state) == to_bytes(whole.state)
    assert to_bytes(again.policy) == to_bytes(whole.policy)
    assert (again.gap, again.status, again.value, again.bounds) == (whole.gap, whole.status, whole.value, whole.bounds)
    back = Result.load(whole.save(tmp_path / "kept"))
    assert to_bytes(back.state) == to_bytes(whole.state)
    assert back.algorithm == algorithm


def test_programs_are_those_of_the_last_lambda():
    one = game("penalty")
    result = eqsolve.solve(one, Continuation(LBFGS("dense", lam=LAM)), limits=Limits(iterations=3))
    alone = eqsolve.solve(one, LBFGS("dense", lam=LAM), limits=Limits(iterations=0))
    assert result.state.lam > LAM
    assert str(result.program("barrier")) == str(alone.program("barrier"))
    assert str(result.algorithm.select(one, "barrier", lambda: result)) == str(alone.program("barrier"))


# Bad input


@pytest.mark.parametrize(
    "method",
    [None, "LBFGS", 3, LBFGS, AgentwiseBarrierIteration, OccupancyBarrier(), NetworkSearch(), (LBFGS(),), lambda: None],
    ids=lambda one: getattr(one, "__name__", None) or str(one)[:20],
)
def test_what_is_no_method_with_a_barrier_is_refused(method):
    with pytest.raises(InvalidData, match=r"method is .*, not a method with a barrier\n  For example"):
        Continuation(method)


def test_a_continuation_of_a_continuation_is_refused():
    with pytest.raises(InvalidData, match="not a method with a barrier"):
        Continuation(Continuation())


@pytest.mark.parametrize("factor", [0, 0.0, 1, 1.0, -0.3, 1.5, np.nan, np.inf, True, None, "0.3", [0.3], 1j])
def test_a_factor_outside_of_0_to_1_is_refused(factor):
    with pytest.raises(InvalidData, match="factor is"):
        Continuation(LBFGS(lam=LAM), factor=factor)


@pytest.mark.parametrize("start", [0.0999, 0, -1.0, np.nan, np.inf, True, "1", [1.0], 1j])
def test_a_start_that_is_no_number_or_lies_below_the_end_is_refused(start):
    with pytest.raises(InvalidData, match="start is"):
        Continuation(LBFGS(lam=LAM), start=start)


def test_the_default_method_and_numbers_of_numpy_are_taken():
    assert Continuation() == Continuation(AgentwiseBarrierIteration())
    taken = Continuation(NaturalGradient(lam=LAM), start=np.float32(0.5), factor=np.array(0.25))
    assert (taken.start, taken.factor) == (0.5, 0.25)
    assert type(taken.start) is type(taken.factor) is float
    with pytest.raises(InvalidData, match=r"start is 0\.5, not at least 0\.7"):
        replace(taken, method=NaturalGradient(lam=0.7))
