"""Cones that a group of affine rows must lie in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from eqsolve.arrays import FloatArray, IntArray

ConeKind = Literal["soc", "rsoc", "exp"]


@dataclass(frozen=True, slots=True, eq=False)
class Cone:
    r"""The rows ``z = A[rows] x + shift`` lie in a cone.

    ============  =========================================================================================
    ``soc``       :math:`z_0 \ge \lVert (z_1, \dots) \rVert_2`
    ``rsoc``      :math:`2 z_0 z_1 \ge \lVert (z_2, \dots) \rVert_2^2,\ z_0, z_1 \ge 0`
    ``exp``       :math:`z_1 \exp(z_0 / z_1) \le z_2,\ z_1 > 0`, closed (as in cvxpy's ``ExpCone``)
    ============  =========================================================================================

    Rows of a cone carry no bounds of their own. Their dual is y = d(optimal objective)/d(-shift): the right-hand side of
    ``A[rows] x >=_K -shift``. For a minimisation, y lies in the dual cone; for a maximisation, -y does.

    Parameters
    ----------
    kind : ``"soc"``, ``"rsoc"`` or ``"exp"``.
    rows : (k,) absolute row positions; k >= 1, 2 or exactly 3.
    shift : (k,) constants.
    """

    kind: ConeKind
    rows: IntArray
    shift: FloatArray


def cone_violation(kind: ConeKind, z: FloatArray) -> float:
    """How far a point is outside a cone (0 inside), in units of the point: the least t >= 0 with z + t e in the cone.

    e is the axis of the cone: e_0 for ``soc``; e_0 + e_1 for ``rsoc``; e_2 for ``exp`` (where z_1 < 0, the distance of
    z_1 to 0 is taken if it is larger).
    """
    if kind == "soc":
        return max(0.0, float(np.linalg.norm(z[1:]) - z[0]))
    if kind == "rsoc":
        half_sum, half_difference = (z[0] + z[1]) / 2, (z[0] - z[1]) / 2
        radius = np.hypot(half_difference, np.linalg.norm(z[2:]) / np.sqrt(2))
        return max(0.0, float(radius - half_sum))
    x, y, t = (float(one) for one in z)
    if y <= 0:
        return max(-y, x, -t, 0.0)
    exponent = x / y
    return max(0.0, y * float(np.exp(min(exponent, 700.0))) - t)


def dual_cone_violation(kind: ConeKind, y: FloatArray) -> float:
    r"""How far a multiplier is outside the dual cone (0 inside).

    ``soc`` and ``rsoc`` are self-dual. The dual of ``exp`` is the closure of
    :math:`\{(u, v, w): u < 0,\ -u \exp(v/u) \le e\, w\}`.
    """
    if kind != "exp":
        return cone_violation(kind, y)
    u, v, w = (float(one) for one in y)
    if u >= 0:
        return max(u, -v, -w, 0.0)
    exponent = v / u - 1.0
    return max(0.0, -u * float(np.exp(min(exponent, 700.0))) - w)
