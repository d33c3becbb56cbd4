"""Which method of a linear-programming solver suits the programs over visits or values of a process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy import sparse

from eqsolve.mdp.model import FiniteMDP

METHODS: dict[str, Mapping[str, object]] = {
    "simplex": {"solver": "simplex"},
    "ipm": {"solver": "ipm", "run_crossover": "off"},
    "pdlp": {"solver": "pdlp"},
}
"""Options of HiGHS by method."""
SIMPLEX_PAIRS = 2_000
"""State-action pairs up to which the simplex method answers at once."""
FILL = 5e9
"""Multiplications of one factorisation above which first-order steps are cheaper than interior-point steps."""


def advised_options(mdp: FiniteMDP, backend: str, *, crossover: bool = False) -> Mapping[str, object]:
    """Options of a backend for programs over the visits or the values of a process; empty but for HiGHS.

    Parameters
    ----------
    crossover : end an interior-point method with a crossover to a vertex.
    """
    if backend != "highs":
        return {}
    method = suggested_method(mdp)
    return {"solver": method, "run_crossover": "on"} if crossover and method == "ipm" else METHODS[method]


def suggested_method(mdp: FiniteMDP) -> Literal["simplex", "ipm", "pdlp"]:
    """The method of HiGHS that suits programs over the visits of a process, from their size and the fill-in of their factors."""
    if mdp.n_steps * mdp.n_pairs <= SIMPLEX_PAIRS:
        return "simplex"
    return "ipm" if factor_work(mdp) <= FILL else "pdlp"


def factor_work(mdp: FiniteMDP) -> float:
    """Multiplications of a factorisation of the normal equations, by the bandwidth after reordering: O(nnz) to estimate.

    A grid of n x n states costs about n^4, a random graph of S states about S^3 / 3.
    """
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    S = mdp.n_states
    owner = sparse.csr_array((np.ones(mdp.n_pairs), mdp.owner, np.arange(mdp.n_pairs + 1)), shape=(mdp.n_pairs, S))
    graph = sparse.csr_array(owner.T @ abs(sparse.csr_array(mdp.kernel())))
    graph = sparse.csr_array(graph + graph.T + sparse.eye_array(S))
    order = reverse_cuthill_mckee(graph, symmetric_mode=True)
    place = np.empty(S, dtype=np.int64)
    place[order] = np.arange(S)
    row = np.repeat(place, np.diff(graph.indptr))
    band = np.zeros(S)
    np.maximum.at(band, row, row - place[graph.indices])
    # Two next states of one pair are coupled as well, so that the band is up to twice as wide.
    return float((np.minimum(2.0 * band, np.arange(S)) ** 2).sum()) * mdp.n_steps
