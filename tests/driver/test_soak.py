"""Many small solves in one process do not pile up memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

SOLVES = 2000
MEGABYTES = 20

SCRIPT = """
import sys
import eqsolve
from eqsolve.aggregative import AggregativeNash, congestion, random_affine
from eqsolve.mdp import FiniteMDP
from eqsolve.normal_form import chicken
import numpy as np

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

def games(k):
    rng = np.random.default_rng(k)
    kernel = rng.dirichlet(np.ones(6), (6, 3))
    yield lambda: eqsolve.solve(congestion(12, 2, seed=k), AggregativeNash(cells=4))
    yield lambda: eqsolve.solve(random_affine(8, (1, 3), 2, seed=k), AggregativeNash(cells=3), backend="highs")
    yield lambda: eqsolve.solve(FiniteMDP.from_arrays(kernel, rng.random((6, 3)), 0.9))
    yield lambda: eqsolve.solve(chicken())

solves, before = 0, 0.0
while solves < int(sys.argv[1]) + 200:
    for solve in games(solves):
        assert solve().is_converged
        solves += 1
    if solves == 200:
        before = resident()
print(resident() - before)
"""


@pytest.mark.slow
def test_memory_stays():
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(SOLVES)], check=True, capture_output=True, text=True)
    assert float(done.stdout) < MEGABYTES
