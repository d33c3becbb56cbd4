"""Runs that go on from a checkpoint are the runs that were never cut; the same call gives the same bytes, whatever the threads."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from os import environ

import joblib
import pytest

import eqsolve
from eqsolve.backends import Limits
from eqsolve.bayesian_network import coordination_line, penalty_game
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
from eqsolve.bayesian_network.bn_policy_gradient import BNPolicyGradient
from eqsolve.bayesian_network.central_path import OccupancyBarrier
from eqsolve.bayesian_network.continuation import Continuation
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.natural_gradient import NaturalGradient
from eqsolve.bayesian_network.network_search import NetworkSearch
from eqsolve.bayesian_network.reinforce import Reinforce
from eqsolve.bayesian_network.system import BAYESIAN_NETWORK
from eqsolve.driver import Checkpoints, NothingReached, Result, Status
from eqsolve.driver.checkpoint import InvalidCheckpoint
from eqsolve.driver.pack import to_bytes
from tests.bayesian_network.methods import game

LAM = 0.1
ALGORITHMS = {
    "gradient, 1 / beta": BNPolicyGradient("chain", lam=LAM),
    "gradient, fixed": BNPolicyGradient("chain", lam=LAM, step_size=0.3, keep="objective"),
    "gradient, line search": BNPolicyGradient("product", lam=LAM, line_search=True),
    "LBFGS": LBFGS("chain", lam=LAM, memory_size=3),
    "LBFGS by the gap": LBFGS("product", lam=LAM, keep="gap"),
    "LBFGS over a saddle": LBFGS("product", lam=1.0, perturb=0.0),
    "natural gradient": NaturalGradient("dense", lam=LAM),
    "agentwise": AgentwiseBarrierIteration("chain", lam=LAM),
    "simultaneous": AgentwiseBarrierIteration("chain", lam=LAM, simultaneous=True, gaps=True),
    "joint": BarrierPolicyIteration(lam=LAM, perturb=1.0),
    "joint, another order": BarrierPolicyIteration(((1, 0),), lam=0.01),
    "continuation": Continuation(LBFGS("product", lam=LAM)),
    "continuation, agentwise": Continuation(AgentwiseBarrierIteration("chain", lam=LAM), start=3.0, factor=0.1),
    "central path": OccupancyBarrier(lam=LAM),
    "entropy": OccupancyBarrier(lam=LAM, kind="entropy"),
    "reinforce": Reinforce("chain", lam=LAM, rounds=12, episodes=30),
    "greedy": NetworkSearch(edges=3, lam=LAM, starts=2, rounds=20),
    "exhaustive": NetworkSearch(edges=3, lam=LAM, starts=1, rounds=10, search="exhaustive"),
}
ENOUGH = Limits(iterations=20)
SEED = 3


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Of networks, so that an exhaustive search takes several iterations."""
    monkeypatch.setattr("eqsolve.bayesian_network.network_search.BATCH", 4)


def of(name):
    """A game in which the algorithm takes some iterations."""
    return game("one state" if name == "exhaustive" else "penalty" if name in ("LBFGS over a saddle", "greedy") else "dense")


def solve(name, *, game=None, algorithm=None, **options):
    options = {"limits": ENOUGH, "seed": SEED} | options
    return eqsolve.solve(game or of(name), algorithm or ALGORITHMS[name], **options)


@cache
def uncut(name):
    return solve(name)


def answer(result):
    """All bytes of a result but for the seconds that a backend took."""
    state = result.state
    if isinstance(result.algorithm, OccupancyBarrier):
        state = (state.outcome.x, state.outcome.y, state.outcome.objective, state.outcome.iterations)
    return to_bytes(state), to_bytes(result.policy)


def same(one, other):
    assert answer(one) == answer(other)
    assert one.history.equals(other.history)
    assert (one.status, one.value, one.gap, one.bounds) == (other.status, other.value, other.gap, other.bounds)
    assert one.optimality == other.optimality


def test_every_algorithm_is_among_them():
    assert {type(one) for one in ALGORITHMS.values()} == set(BAYESIAN_NETWORK.algorithms)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_resumed_run_is_the_uninterrupted_one(name, tmp_path):
    """Cut and resumed again and again, with the saddle at any of the cuts."""
    whole = uncut(name)
    n = whole.iterations
    assert n >= 2 or isinstance(whole.algorithm, OccupancyBarrier)
    every = range(1, n + 1) if name == "LBFGS over a saddle" else {1, n // 2, n - 1} & set(range(1, n + 1))
    kept = Checkpoints(tmp_path, seconds=0.0)
    for cut in sorted(every):
        part = solve(name, checkpoint=kept, limits=Limits(iterations=cut))
        assert part.iterations == cut
        assert bool(part.provenance.notes) is kept.resume
        assert cut == n or part.status is Status.OUT_OF_ITERATIONS
        kept = Checkpoints(tmp_path, seconds=0.0, resume=True)
    resumed = solve(name, checkpoint=kept)
    assert resumed.provenance.notes[-1].endswith(f"iteration {cut}")
    same(resumed, whole)


@pytest.mark.parametrize("name", ["LBFGS", "joint", "continuation", "reinforce", "greedy"])
def test_a_run_that_is_cut_before_its_first_step_goes_on_as_it_would_have(name, tmp_path):
    solve(name, checkpoint=Checkpoints(tmp_path), limits=Limits(iterations=0))
    resumed = solve(name, checkpoint=Checkpoints(tmp_path, resume=True))
    assert resumed.provenance.notes[-1].endswith("iteration 0")
    same(resumed, uncut(name))


def test_a_program_that_was_not_answered_is_asked_after_all(tmp_path):
    with pytest.raises(NothingReached):
        solve("central path", checkpoint=Checkpoints(tmp_path), limits=Limits(iterations=0))
    same(solve("central path", checkpoint=Checkpoints(tmp_path, resume=True)), uncut("central path"))


def test_the_saddle_is_among_the_cuts():
    assert uncut("LBFGS over a saddle").state.escapes == 1


def test_a_run_that_is_stopped_by_ctrl_c_goes_on_as_it_would_have(tmp_path):
    def stop(iteration, record):
        if iteration == 6:
            raise KeyboardInterrupt

    cut = solve("LBFGS", checkpoint=Checkpoints(tmp_path), progress=stop)
    assert cut.status is Status.INTERRUPTED
    same(solve("LBFGS", checkpoint=Checkpoints(tmp_path, resume=True)), uncut("LBFGS"))


def test_a_compiled_run_goes_on_as_it_would_have(tmp_path):
    line = coordination_line(24, 3)
    for algorithm in (LBFGS("chain", lam=LAM), AgentwiseBarrierIteration("product", lam=LAM)):
        call, folder = {"game": line, "algorithm": algorithm}, tmp_path / type(algorithm).__name__
        whole = solve("", **call)
        for cut in (2, 4):
            part = solve("", **call, checkpoint=Checkpoints(folder, 0.0, resume=cut > 2), limits=Limits(iterations=cut))
            assert part.iterations == cut < whole.iterations
        same(solve("", **call, checkpoint=Checkpoints(folder, resume=True)), whole)


# Other runs


OTHERS = {
    "gradient, fixed": [{"step_size": 0.2}, {"line_search": True}, {"keep": "gradient"}],
    "LBFGS": [{"lam": 0.2}, {"tolerance": 1e-7}, {"perturb": 0.0}, {"second_order": False}, {"gaps": True}, {"memory_size": 4}],
    "natural gradient": [{"network": "product"}, {"step_size": 1.0}],
    "agentwise": [{"simultaneous": True}, {"network": "dense"}, {"lam": 0.100001}],
    "joint": [{"network": ((1, 0),)}, {"perturb": 0.5}],
    "continuation": [{"factor": 0.5}, {"start": 2.0}, {"method": LBFGS("product", lam=0.05)}, {"method": NaturalGradient(lam=LAM)}],
    "central path": [{"kind": "entropy"}, {"lam": 0.2}, {"network": ((0, 1),)}],
    "reinforce": [{"episodes": 31}, {"rounds": 13}, {"baseline": False}, {"decay": 50.0}, {"length": 4}, {"accuracy": 0.1}],
    "greedy": [{"edges": 2}, {"starts": 3}, {"rounds": 21}, {"search": "exhaustive"}, {"lam": 0.2}],
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_with_other_parameters_is_refused(name, tmp_path):
    solve(name, checkpoint=tmp_path, limits=Limits(iterations=1))
    kept = Checkpoints(tmp_path, resume=True)
    before = (tmp_path / "checkpoint.npz").read_bytes()
    mine = ALGORITHMS[name]
    other = AgentwiseBarrierIteration() if type(mine) is not AgentwiseBarrierIteration else LBFGS("chain", lam=LAM)
    for algorithm in [*(replace(mine, **changes) for changes in OTHERS[name]), other]:
        with pytest.raises(InvalidCheckpoint, match="another algorithm"):
            solve(name, algorithm=algorithm, checkpoint=kept)
    for one in (penalty_game(-9.0), game("no future")):
        with pytest.raises(InvalidCheckpoint, match="another game"):
            solve(name, game=one, checkpoint=kept)
    with pytest.raises(InvalidCheckpoint, match="another seed: 3, and this run has 4"):
        solve(name, seed=4, checkpoint=kept)
    with pytest.raises(InvalidCheckpoint, match="another backend"):
        solve(name, backend="cvxpy:CLARABEL", checkpoint=kept)
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    assert solve(name, checkpoint=kept, limits=Limits(iterations=1)).iterations == 1


# The same call


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_same_call_gives_the_same_bytes_and_a_file_gives_them_back(name, tmp_path):
    one = solve(name)
    same(one, uncut(name))
    back = Result.load(one.save(tmp_path))
    assert answer(back) == answer(one)
    assert back.history.equals(one.history)


@pytest.mark.parametrize("name", ["LBFGS", "natural gradient", "agentwise", "joint", "continuation", "reinforce", "greedy"])
def test_another_seed_starts_elsewhere(name):
    assert answer(uncut(name)) != answer(solve(name, seed=SEED + 1))


@pytest.mark.parametrize("name", ["greedy", "exhaustive"])
def test_candidates_that_are_tried_at_once_are_the_same(name):
    with joblib.parallel_config(backend="threading"):
        same(solve(name, n_jobs=2), uncut(name))


PROGRAM = """
import hashlib
import numpy as np
from eqsolve.bayesian_network import BayesianNetwork, coordination_line, random_cooperative
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
from eqsolve.bayesian_network.bn_policy_gradient import BNPolicyGradient
from eqsolve.bayesian_network.curvature import steepest_curvature
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.natural_gradient import NaturalGradient
from eqsolve.bayesian_network.objective import Objective
from eqsolve.driver import Run
from eqsolve.driver.pack import to_bytes

def told(game, algorithm, steps):
    run = Run()
    state = algorithm.init(game, run)
    while run.iteration < steps and algorithm.done(game, state) is None:
        state = algorithm.step(game, state, run)[0]
        run.iteration += 1
    digest = hashlib.sha256(to_bytes((state, algorithm.finish(game, state, run)))).hexdigest()
    print(type(algorithm).__name__, len(state.logits), run.iteration, state.curvature, digest)

line, large = coordination_line(40, 6), random_cooperative(3, (3,) * 8, seed=1)
told(line, LBFGS("chain", lam=2.0), 200)
told(line, AgentwiseBarrierIteration("chain", lam=0.5), 3)
for algorithm in (LBFGS(lam=0.1), NaturalGradient(lam=0.1), BNPolicyGradient(lam=0.1, line_search=True)):
    told(large, algorithm, 3)
told(random_cooperative(97, (78,), seed=1), BarrierPolicyIteration(lam=0.1), 4)
objective = Objective.of(large, BayesianNetwork.dense(8), 0.1)
logits = np.random.default_rng(0).standard_normal(objective.evaluator.layout.size)
curvature, direction = steepest_curvature(lambda x: objective.gradient(objective.at(x)), logits, np.random.default_rng(1))
print(curvature, hashlib.sha256(direction.tobytes()).hexdigest())
"""


def test_the_number_of_threads_makes_no_difference():
    """Compiled passes, and as many logits and pairs of states and joint actions as BLAS would share out among threads."""
    told = []
    for threads in "12":
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        there = environ | dict.fromkeys(names, threads)
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=there, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.splitlines())
    assert len(told[0]) == 7
    assert told[0] == told[1]
    assert "nan" not in told[0][0]  # it has converged, and its curvature has been looked at
