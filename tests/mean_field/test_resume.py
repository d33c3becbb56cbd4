"""Runs that go on from a checkpoint are the runs that were never cut; the same call gives the same bytes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from eqsolve.backends import Limits
from eqsolve.driver import Checkpoints, Status
from eqsolve.driver.checkpoint import InvalidCheckpoint
from eqsolve.mean_field.alternating_marl import AlternatingMARL
from tests.mean_field.alternations import answer, solved
from tests.mean_field.games import small_game

RUNS = {
    "exact": {"starts": 2},
    "ascent": {"global_step": "ascent", "ascents": 3},
    "sampled": {"global_step": "sampled", "m": 3, "starts": 2},
    "q_learning": {"global_step": "q_learning", "m": 20},
    "authors": {"variant": "authors", "global_step": "rounded", "local_step": "softmax", "rounds": 5},
}


GAME = small_game("two states", seed=4, n=3)


def run(name, **options):
    return solved(GAME, 1, seed=3, **RUNS[name], **options)


@cache
def uncut(name):
    return run(name)


def same(one, other):
    assert answer(one) == answer(other)
    assert one.history.equals(other.history)
    assert (one.status, one.value, one.gap, one.bounds) == (other.status, other.value, other.gap, other.bounds)


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_is_the_uninterrupted_one(name, tmp_path):
    """Cut after the first half-step and before the last one, and resumed."""
    whole = uncut(name)
    assert whole.iterations >= 2
    kept = Checkpoints(tmp_path, seconds=0.0)
    for cut in sorted({1, whole.iterations - 1}):
        part = run(name, checkpoint=kept, limits=Limits(iterations=cut))
        assert part.status is Status.OUT_OF_ITERATIONS
        kept = Checkpoints(tmp_path, seconds=0.0, resume=True)
    same(run(name, checkpoint=kept), whole)


@pytest.mark.parametrize("name", ["exact", "q_learning"])
def test_the_same_call_gives_the_same_bytes(name):
    same(run(name), uncut(name))


def test_a_run_that_is_cut_before_its_first_step_goes_on_as_it_would_have(tmp_path):
    run("sampled", checkpoint=Checkpoints(tmp_path), limits=Limits(iterations=0))
    same(run("sampled", checkpoint=Checkpoints(tmp_path, resume=True)), uncut("sampled"))


def test_a_run_that_is_stopped_by_ctrl_c_goes_on_as_it_would_have(tmp_path):
    def stop(iteration, record):
        if iteration == 1:
            raise KeyboardInterrupt

    cut = run("exact", checkpoint=Checkpoints(tmp_path), progress=stop)
    assert cut.status is Status.INTERRUPTED
    same(run("exact", checkpoint=Checkpoints(tmp_path, resume=True)), uncut("exact"))


def test_a_run_with_other_parameters_is_refused(tmp_path):
    run("exact", checkpoint=tmp_path, limits=Limits(iterations=1))
    kept = Checkpoints(tmp_path, resume=True)
    mine = AlternatingMARL(1, starts=2)
    for changes in ({"K": 3}, {"starts": 3}, {"tolerance": 1e-4}, {"local_step": "enumerate"}, {"ascents": 1}):
        other = replace(mine, **changes)
        options = {name: getattr(other, name) for name in ("K", "starts", "tolerance", "local_step", "ascents")}
        with pytest.raises(InvalidCheckpoint, match="another algorithm"):
            solved(GAME, 1, seed=3, checkpoint=kept, **options)
    with pytest.raises(InvalidCheckpoint, match="another game"):
        solved(small_game("two states", seed=5, n=3), 1, seed=3, starts=2, checkpoint=kept)
