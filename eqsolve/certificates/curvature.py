"""A proven diagonal below a matrix: Q - diag(d) is positive semidefinite."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from eqsolve.arrays import FloatArray
from eqsolve.certificates.rounding import UNIT, gamma

DENSE_LIMIT = 1000
UNPROVED = "Q is positive semidefinite (found so up to rounding when the program was built, not proved)"


def curvature_floor(Q: sparse.csc_array) -> tuple[FloatArray, tuple[str, ...]]:
    """Find d (N,) with x'Qx >= sum d_j x_j^2 for all x, and the assumptions where no proof was found (there d is 0).

    By connected components: diagonal dominance (Gershgorin), else a Cholesky factorisation of Q - s I, whose completion
    proves a lower bound of the least eigenvalue (Rump 2006, Verification of positive definiteness). d_j can be slightly
    negative: so much curvature may be missing, and the bound pays for it over the box.
    """
    diagonal = Q.diagonal()
    count = np.diff(Q.indptr)
    off = np.asarray(abs(Q).sum(axis=0)) - np.abs(diagonal)
    error = gamma(2 * count + 16) * (off + 2 * np.abs(diagonal))
    floor = np.where(count <= (diagonal != 0), diagonal, diagonal - off - error)
    if (floor >= 0).all():
        return floor, ()
    _, component = csgraph.connected_components(Q, directed=False)
    weak = np.unique(component[floor < 0])
    order = np.argsort(component, kind="stable")
    starts, ends = (np.searchsorted(component[order], weak, side=side) for side in ("left", "right"))
    assumptions: tuple[str, ...] = ()
    for start, end in zip(starts, ends, strict=True):
        members = order[start:end]
        least = _least_eigenvalue(Q[members][:, members].toarray()) if len(members) <= DENSE_LIMIT else None
        if least is None:
            assumptions = (UNPROVED,)
        floor[members] = least or 0.0
    return floor, assumptions


def _least_eigenvalue(Q: FloatArray) -> float | None:
    """A proven lower bound of the least eigenvalue, close to it; None if the factorisation does not complete."""
    trace = float(np.abs(np.diagonal(Q)).sum())
    slack = 4.0 * float(gamma(len(Q) + 8)) * trace
    shift = float(np.linalg.eigvalsh(Q)[0]) - 2 * slack - 4 * UNIT * trace
    shifted = Q - shift * np.eye(len(Q))
    try:
        np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        return None
    lost = 2.0 * float(gamma(len(Q) + 8)) * float(np.diagonal(shifted).sum()) + 4 * UNIT * (trace + abs(shift))
    return shift - lost
