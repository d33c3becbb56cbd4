"""Is a sparse symmetric matrix positive semidefinite?"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

DENSE_LIMIT = 800


def negative_curvature(Q: sparse.csc_array, tolerance: float = 1e-9) -> tuple[int, float] | None:
    """A column that leads a direction of negative curvature and that curvature; None if Q is positive semidefinite.

    Connected components are taken one by one: by eigenvalues up to 800 columns, by the signs of a sparse LDL'-like
    factorisation of Q + tolerance I above. Curvature down to ``-tolerance * max|Q|`` counts as zero.
    """
    diagonal = Q.diagonal()
    slack = tolerance * float(abs(Q).max())
    if diagonal.min() < -slack:
        worst = int(np.argmin(diagonal))
        return worst, float(diagonal[worst])
    off = Q - sparse.diags_array(diagonal, format="csc")
    off.eliminate_zeros()
    if not off.nnz:
        return None
    count, component = csgraph.connected_components(off, directed=False)
    order = np.argsort(component, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(component, minlength=count))[:-1]):
        if len(members) > 1:
            found = _in_component(Q[members][:, members], slack)
            if found is not None:
                return int(members[found[0]]), found[1]
    return None


def _in_component(Q: sparse.csc_array, slack: float) -> tuple[int, float] | None:
    if Q.shape[0] <= DENSE_LIMIT:
        values, vectors = np.linalg.eigh(Q.toarray())
        if values[0] >= -slack:
            return None
        return int(np.argmax(np.abs(vectors[:, 0]))), float(values[0])
    shifted = sparse.csc_array(Q + slack * sparse.eye_array(Q.shape[0]))
    factors = splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    pivots = factors.U.diagonal()
    symmetric = bool((factors.perm_r == factors.perm_c).all())
    if symmetric and pivots.min() > 0:
        return None
    worst = int(np.argmin(pivots))
    return int(np.flatnonzero(factors.perm_c == worst)[0]), float(pivots[worst])
