r"""The explicit program whose optimum is an equilibrium of the mean-field version of a game with a concave potential."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.interior_point import SOLVED, QuadraticChoice, solve_interior
from eqsolve.aggregative.potential import Potential
from eqsolve.aggregative.programs import influence_unit
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.programs import Program, ProgramBuilder, StructureAnswer

LARGEST = 100.0
"""Largest coefficient of the objective of a potential program."""
SPARSE = 0.25
"""Share of entries of the contributions up to which they are kept in sparse rows."""


@dataclass(frozen=True, slots=True, eq=False)
class PotentialForm:
    """The structure of a potential program: rows 0..T-1 choose within a group, the others tie the choices to pieces of Psi.

    Parameters
    ----------
    offsets : (T+1,) first column of each group, and N; the columns after them are the pieces.
    """

    offsets: IntArray

    @property
    def name(self) -> str:
        """The form's name."""
        return "potential"

    def refuses(self, program: Program) -> str | None:
        """Why a program is not of the form, or None."""
        groups, n = len(self.offsets) - 1, int(self.offsets[-1])
        if program.kind not in ("LP", "QP"):
            return f"it is of kind {program.kind}, not LP or QP"
        if program.n_columns < n or program.n_rows < groups:
            return "its groups are not those of the structure"
        if (program.row_lower != program.row_upper).any() or (program.row_lower[:groups] < 0).any():
            return "a row is not an equality"
        need = np.repeat(program.row_lower[:groups], np.diff(self.offsets))
        if (program.col_lower[:n] != 0).any() or (program.col_upper[:n] < need).any():
            return "a column of a group has bounds other than 0 and the count of its group"
        if not (np.isfinite(program.col_lower[n:]) & (program.col_lower[n:] < program.col_upper[n:])).all():
            return "a piece has no room between its bounds"
        if not np.isfinite(program.col_upper[n:]).all():
            return "a piece has no upper bound"
        if program.Q is not None and program.Q[:n].nnz:
            return "the choices have a quadratic term"
        return None

    def solve(self, program: Program) -> StructureAnswer:
        """Solve by interior points; duals of the groups are exact for the prices found."""
        task, sign = self._task(program)
        answer = solve_interior(task)
        if answer.error > SOLVED:
            return StructureAnswer("iteration_limit", iterations=answer.steps)
        q = np.maximum(answer.q, 0.0)
        q *= (task.need / np.add.reduceat(q, self.offsets[:-1]))[np.repeat(np.arange(len(task.need)), np.diff(self.offsets))]
        y = _settled(task, q, answer.y)
        top = np.maximum.reduceat(task.w + task.G @ answer.price, self.offsets[:-1])
        duals = sign * np.concatenate((top, -answer.price))
        return StructureAnswer("optimal", np.concatenate((q, y)), duals, iterations=answer.steps)

    def _task(self, program: Program) -> tuple[QuadraticChoice, float]:
        groups, n = len(self.offsets) - 1, int(self.offsets[-1])
        sign = 1.0 if program.sense == "max" else -1.0
        rows = program.A.tocsr()[groups:]
        G = sparse.csr_array(rows[:, :n].T)
        # Where most entries are there, whole rows are faster.
        many = G.nnz > SPARSE * n * rows.shape[0]
        pieces = program.n_columns - n
        B = np.zeros(pieces)
        if program.Q is not None:
            corner = program.Q.tocsr()[n:, n:].toarray()
            B = -sign * corner if np.count_nonzero(corner - np.diag(np.diag(corner))) else -sign * np.diag(corner)
        return (
            QuadraticChoice(
                offsets=self.offsets,
                need=program.row_lower[:groups],
                w=sign * program.c[:n],
                G=G.toarray() if many else G,
                B=B,
                c=sign * program.c[n:],
                low=program.col_lower[n:],
                high=program.col_upper[n:],
                E=-rows[:, n:].toarray(),
                r=program.row_lower[groups:],
            ),
            sign,
        )


def _settled(task: QuadraticChoice, q: FloatArray, y: FloatArray) -> FloatArray:
    """The pieces moved, within their bounds and from the first on, until the linking rows hold."""
    y = np.clip(y, task.low, task.high)
    missing = q @ task.G - task.E @ y - task.r
    for m in range(len(y)):
        k = np.flatnonzero(task.E[:, m])
        if len(k) == 1:
            change = float(np.clip(missing[k[0]] / task.E[k[0], m], task.low[m] - y[m], task.high[m] - y[m]))
            y[m] += change
            missing[k[0]] -= change * task.E[k[0], m]
    return y


def potential_program(game: AggregativeGame, potential: Potential, x: FloatArray | None = None, note: str = "") -> Program:
    r"""The program of the equilibria of the mean-field version.

    .. math:: \max\ \Psi(x) + \sum_{t,j} \frac{b_{tj}}{\kappa_t} p_{tj} \quad \text{s.t.} \quad \sum_j p_{tj} = N_t, \quad
              \sum_{t,j} g_{tj} p_{tj} = x, \quad p \ge 0

    Each aggregator row is divided by the influence of one player, so that x counts players; Psi stands in pieces of x, one for
    each interval on which its gradient is affine. The objective is multiplied by one factor that makes its largest coefficient
    100, so that differences that matter stand far above the tolerances of solvers.

    Parameters
    ----------
    x : where the quadratic model of a shape that is not quadratic in pieces is taken; the middle of the range when left out.
    """
    unit = influence_unit(game)
    fitted = potential.fitted(game)
    at = (game.lower + game.upper) / 2 if x is None else x
    pieces = fitted.shape.pieces(at, game.lower, game.upper, unit)
    one_each = bool((game.players == 1).all())
    axes = ("player" if one_each else "type", "action")
    m = int(game.n_actions[0])
    rectangular = bool((game.n_actions == m).all())
    types, coordinates = game.types or None, game.coordinates or None
    same = bool(game.actions) and rectangular and game.actions[:m] * game.n_types == game.actions
    builder = ProgramBuilder("aggregative potential program", sense="max")
    p = builder.columns(
        "p",
        (game.n_types, m) if rectangular else (),
        counts=None if rectangular else game.n_actions,
        axes=axes,
        labels=(types, game.actions[:m] if same else None),
        upper=game.players[game.owner],
    )
    scale = unit[pieces.coordinate]
    single = len(pieces.coordinate) == game.n_coordinates
    y = builder.columns(
        "x",
        (game.n_coordinates,) if single else (),
        counts=None if single else np.bincount(pieces.coordinate, minlength=game.n_coordinates),
        axes=("coordinate",) if single else ("coordinate", "piece"),
        labels=(coordinates,) if single else (coordinates, None),
        lower=pieces.lower / scale,
        upper=pieces.upper / scale,
    )
    one = builder.rows("one_action", (game.n_types,), axes=axes[:1], labels=(types,), lower=game.players, upper=game.players)
    origin = pieces.origin / unit
    link = builder.rows(
        "aggregator", (game.n_coordinates,), axes=("coordinate",), labels=(coordinates,), lower=origin, upper=origin
    )
    builder.add(one, p, game.owner, np.arange(game.n_columns))
    column, k = np.nonzero(game.contribution)
    builder.add(link, p, k, column, game.contribution[column, k] / unit[k])
    builder.add(link, y, pieces.coordinate, np.arange(len(scale)), -1.0)
    weights, slope = fitted.weights(game), pieces.slope * scale
    largest = max(float(np.abs(weights).max()), float(np.abs(slope).max()))
    factor = LARGEST / largest if largest > 0 else 1.0
    builder.objective(p, factor * weights)
    builder.objective(y, factor * slope)
    if pieces.curvature.ndim == 1:
        where = np.flatnonzero(pieces.curvature)
        if len(where):
            builder.quadratic(y, y, where, where, factor * (pieces.curvature * scale**2)[where])
    elif pieces.curvature.any():
        a, b = np.nonzero(pieces.curvature)
        builder.quadratic(y, y, a, b, factor * pieces.curvature[a, b] * (scale[a] * scale[b]))
    return builder.build(offset=factor * pieces.offset, structure=PotentialForm(game.offsets), note=note)
