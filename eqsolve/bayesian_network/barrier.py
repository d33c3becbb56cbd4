r"""The log-barrier problem over simplices, row by row: an explicit program, and its closed form.

.. math:: \max_{\pi \in \Delta}\ \langle g, \pi \rangle + \kappa \sum_a \log \pi_a, \qquad
          \pi_a = \frac{\kappa}{u + \max g - g_a}, \quad \sum_a \pi_a = 1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.programs import Program, ProgramBuilder, StructureAnswer
from eqsolve.programs.cone import Cone

NEWTON = 100
"""Steps at most; a dozen are the rule."""
PRECISION = 4 * np.finfo(np.float64).eps
LARGEST = 200_000
"""Most cones that a program is built with."""


def barrier_maximum(gain: FloatArray, weight: FloatArray) -> FloatArray:
    r"""(R, A) the maximiser of every row; all entries are positive.

    The price u of a row is the root of :math:`1 / \sum_a \kappa / (u + \max g - g_a) = 1` in [kappa, A kappa], a concave increasing
    function of u, on which Newton's method from the left end rises to the root without overshooting.

    Parameters
    ----------
    gain : (R, A) g. weight : (R,) kappa > 0, in the units of g.

    Notes
    -----
    Source: the stationarity condition of L_lambda in one row, :math:`A^i = \tau (1 - 1 / (|\mathcal A^i| \pi^i))` with
    :math:`\tau = \lambda / (|S| |\mathcal A^{\mathcal P^i}| d(s, a^{\mathcal P^i}))`; both sides are multiplied by d(s, a^P) here,
    so that rows which are never visited need no exception. As an explicit program: ``barrier_rows_program``.

    Examples
    --------
    >>> import numpy as np
    >>> barrier_maximum(np.array([[0.0, 1.5]]), np.array([1.0])).round(6).tolist()
    [[0.333333, 0.666667]]
    """
    below = gain.max(axis=1, keepdims=True) - gain
    kappa = weight[:, None]
    price = kappa.copy()
    for _ in range(NEWTON):
        share = kappa / (price + below)
        total = share.sum(axis=1, keepdims=True)
        step = (total * total - total) * kappa / np.square(share).sum(axis=1, keepdims=True)
        price = np.clip(price + step, kappa, gain.shape[1] * kappa)
        if (np.abs(step) <= PRECISION * price).all():
            break
    share = kappa / (price + below)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, eq=False)
class BarrierRows:
    """The structure of ``barrier_rows_program``: gains are read off the objective.

    Parameters
    ----------
    shape : (R, A). weight : (R,) kappa.
    """

    shape: tuple[int, int]
    weight: FloatArray

    @property
    def name(self) -> str:
        """The form's name."""
        return "log barrier over simplices"

    def refuses(self, program: Program) -> str | None:
        """Why a program is not of the form, or None: it is what ``barrier_rows_program`` builds of its own objective."""
        n = self.shape[0] * self.shape[1]
        if program.n_columns != 2 * n or program.sense != "max":
            return "it has other columns"
        want = barrier_rows_program(program.c[:n].reshape(self.shape), self.weight)
        if (program.c[n:] != want.c[n:]).any():
            return "the weights of the barrier have changed"
        rows = [
            (program.row_lower, want.row_lower),
            (program.row_upper, want.row_upper),
            (program.col_lower[:n], want.col_lower[:n]),
            (program.col_upper[:n], want.col_upper[:n]),
        ]
        if (
            any(a.shape != b.shape or (a != b).any() for a, b in rows)
            or program.A.shape != want.A.shape
            or abs(program.A - want.A).nnz
        ):
            return "its rows or bounds have changed"
        if (program.col_lower[n:] > want.col_lower[n:]).any() or (program.col_upper[n:] < 0).any():
            return "a logarithm has a bound that may bind"
        return None

    def solve(self, program: Program) -> StructureAnswer:
        """The maximisers, and the multipliers that prove them."""
        n = self.shape[0] * self.shape[1]
        gain = program.c[:n].reshape(self.shape)
        pi = barrier_maximum(gain, self.weight)
        kappa = self.weight[:, None]
        slack = kappa / pi
        price = (gain + slack).mean(axis=1)
        cones = np.stack([np.broadcast_to(-kappa, pi.shape), -kappa * (1.0 + np.log(slack / kappa)), slack])
        y = np.concatenate([price, -cones.reshape(-1)])
        return StructureAnswer("optimal", np.concatenate([pi.reshape(-1), np.log(pi).reshape(-1)]), y)


def barrier_rows_program(
    gain: FloatArray, weight: FloatArray, *, name: str = "log barrier", offset: float = 0.0, rows: Sequence[str] = ()
) -> Program:
    """The log-barrier problem of R rows as a program with one exponential cone per entry.

    Columns ``p[row, action]`` in [0, 1] and ``t[row, action]``; rows ``one_policy[row]`` sum p = 1 and, of the cone of every entry,
    ``log`` t, ``one`` 1 and ``mass`` p: t <= log p. Objective: sum of gain p plus weight times t.

    Parameters
    ----------
    gain : (R, A). weight : (R,) kappa > 0. offset : a constant of the objective. rows : labels.

    Returns
    -------
    Program of kind EXP with the structure ``BarrierRows``, which ``native`` solves in closed form.
    """
    shape = (int(gain.shape[0]), int(gain.shape[1]))
    n, labels = shape[0] * shape[1], (tuple(rows) or None, None)
    builder = ProgramBuilder(name, sense="max")
    p = builder.columns("p", shape, axes=("row", "action"), labels=labels, upper=1.0)
    # An optimal p is at least kappa / (A kappa + the spread of the gains).
    least = np.log(weight / (shape[1] * weight + np.ptp(gain, axis=1))) - 1.0
    t = builder.columns("t", shape, axes=("row", "action"), labels=labels, lower=np.repeat(least, shape[1]), upper=0.0)
    one = builder.rows("one_policy", shape[:1], axes=("row",), labels=labels[:1], lower=1.0, upper=1.0)
    parts = [builder.rows(part, shape, axes=("row", "action"), labels=labels) for part in ("log", "one", "mass")]
    every = np.arange(n)
    builder.add(one, p, every // shape[1], every)
    builder.add(parts[0], t, every, every)
    builder.add(parts[2], p, every, every)
    builder.objective(p, gain.reshape(-1))
    builder.objective(t, np.repeat(weight, shape[1]))
    program = builder.build(offset=offset, structure=BarrierRows(shape, weight))
    starts, shift = np.asarray([part.start for part in parts]), np.asarray([0.0, 1.0, 0.0])
    return replace(program, cones=tuple(Cone("exp", starts + k, shift) for k in range(n)))
