"""A search that goes on from a checkpoint is the search that was never cut, whoever answers its programs."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative import AggregativeNash, random_affine
from eqsolve.aggregative.search_state import SearchState
from eqsolve.backends import Limits
from eqsolve.driver import Checkpoints, Result, solve
from eqsolve.driver.pack import from_bytes, to_bytes

GAME = random_affine(60, 4, 3, gamma=3.0, seed=2)
VARIANTS = {
    "auto": (AggregativeNash("paper", cells=12), "auto"),
    "highs": (AggregativeNash("paper", cells=12), "highs"),
    "paper": (AggregativeNash(variant="paper", cells=12), "native"),
}


@pytest.mark.parametrize(("algorithm", "backend"), VARIANTS.values(), ids=VARIANTS)
def test_a_resumed_search_is_the_uninterrupted_one(algorithm, backend, tmp_path):
    whole = solve(GAME, algorithm, backend=backend)
    assert whole.iterations > 2 * algorithm.period
    resumed = 0
    for cut in range(algorithm.period, whole.iterations, algorithm.period):
        asked = Checkpoints(tmp_path, seconds=0.0, resume=cut > algorithm.period)
        part = solve(GAME, algorithm, backend=backend, checkpoint=asked, limits=Limits(iterations=cut))
        resumed += part.iterations == cut
        assert part.history["bound"].tolist() == whole.history["bound"][:cut].tolist()
        assert (np.diff(part.history["bound"]) <= 0).all()
        assert part.bound >= whole.welfare
    assert resumed >= 2
    again = solve(GAME, algorithm, backend=backend, checkpoint=Checkpoints(tmp_path, resume=True))
    assert again.history.equals(whole.history)
    assert to_bytes(again.policy) == to_bytes(whole.policy)
    assert again.details() == whole.details()
    assert (again.gap, again.status, again.value, again.bounds) == (whole.gap, whole.status, whole.value, whole.bounds)


def test_a_saved_search_that_was_cut_keeps_its_bound(tmp_path):
    algorithm = AggregativeNash("paper", cells=12)
    cut = solve(GAME, algorithm, limits=Limits(iterations=9))
    back = Result.load(cut.save(tmp_path))
    assert back.bound == cut.bound > cut.found.outcome.objective
    assert len(back.state.low) == 0


@pytest.mark.parametrize("rescue", [True, False])
def test_a_resumed_search_lets_highs_answer_where_the_whole_one_does(rescue):
    algorithm = AggregativeNash("paper", cells=12)
    state = from_bytes(to_bytes(SearchState.of(algorithm.search(GAME, rescue=rescue), rescue)), "state")
    assert state.search(algorithm, GAME).rescue is rescue
