"""The explicit programs of correlated and coarse correlated equilibria."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray, float_array
from eqsolve.errors import InvalidData, unknown
from eqsolve.normal_form.game import NormalFormGame
from eqsolve.normal_form.regret import Correlated, check_concept
from eqsolve.normal_form.sifting import Sifting
from eqsolve.programs import Block, Cone, Program, ProgramBuilder
from eqsolve.programs.program import Sense

LARGEST_SCALE = 1e7
"""Profiles that no equilibrium plays more often than one in this many count as never played."""
OBJECTIVES = ("welfare", "max_entropy", "max_gini")
NAMES = {"CE": "correlated equilibrium", "CCE": "coarse correlated equilibrium"}


def correlated_program(
    game: NormalFormGame,
    concept: Correlated = "CE",
    objective: Any = "welfare",
    *,
    sense: Sense = "max",
    epsilon: npt.ArrayLike = 0.0,
    support: npt.ArrayLike | None = None,
) -> Program:
    r"""The program of the best (coarse) correlated equilibrium of a game.

    .. math:: \max_{q \ge 0}\ \sum_a w(a) q(a) \quad \text{s.t.} \quad \sum_a q(a) = 1, \qquad
              \text{CE: } \sum_{a_{-i}} q(a, a_{-i}) [u_i(b, a_{-i}) - u_i(a, a_{-i})] \le 0 \ \ \forall i, a, b, \qquad
              \text{CCE: } \sum_a q(a) [u_i(b, a_{-i}) - u_i(a)] \le 0 \ \ \forall i, b

    The rows of player i are divided by ``payoff_units(game)[i]``, which is 1 but for gains that are all tiny or huge.

    Columns ``q[profile]``, one axis per player. Rows: for ``"CE"`` ``incentive[player, from, to]`` (one block
    ``incentive_i[from, to]`` per player where numbers or labels of actions differ; rows with from = to are empty), for ``"CCE"``
    ``regret[player, to]``; and ``one``, the normalisation.

    Parameters
    ----------
    objective : ``"welfare"`` (sum of payoffs), ``("player", i)`` by number or label, an array (m_1, ..., m_N) or flat of weights
        per profile, ``"max_entropy"`` (exponential cones, one per profile) or ``"max_gini"`` (the QP of 1 - sum q^2).
    sense : ``"max"`` or ``"min"`` for linear objectives (``"min"`` with weights is a loss).
    epsilon : the gap that is allowed, (N,) or one number for all players, in reward units, >= 0. With ``"CE"`` and epsilon > 0
        there are columns ``gain[player, from]`` and rows ``allowance[player]``: what all recommendations of a player together may
        gain by being replaced is at most epsilon, as ``correlated_gap`` measures it.
    support : (m_1, ..., m_N) truth values, the profiles that may be played; the others are fixed at 0. Everything when left out.

    Raises
    ------
    UnknownName : another concept, objective or player.
    InvalidData : weights of another size or not finite, a negative epsilon, ``sense="min"`` with entropy or Gini.

    Examples
    --------
    >>> from eqsolve.normal_form import chicken
    >>> program = correlated_program(chicken())
    >>> program.row("incentive", "row", "yield", "dare")
    'incentive[row, yield, dare]: q[yield, yield] - 2 q[yield, dare] <= 0'
    """
    check_concept(concept)
    weights = objective_weights(game, objective)
    check_sense(sense)
    if weights is None and sense == "min":
        raise InvalidData(f"{objective!r} is maximised", "Leave sense out, or give linear weights.")
    slack = _slack(game, epsilon)
    A = incentive_matrix(game, concept)
    P = game.n_profiles
    q = Block("q", tuple(game.player_label(i) for i in range(game.n_players)), 0, game.shape, None, game.actions)
    columns, rows = [q], _row_blocks(game, concept)
    n_rows = int(A.shape[0]) - 1
    row_upper = np.zeros(n_rows)
    if concept == "CCE":
        row_upper = np.repeat(slack, _deviations(game, concept))
    elif slack.any():
        A = _with_gains(game, A)
        n_rows = int(A.shape[0]) - 1
        row_upper = np.concatenate((row_upper, slack))
        columns.append(Block("gain", ("player", "from"), P, None, np.asarray(game.shape)))
        rows.append(Block("allowance", ("player",), rows[-1].stop, (game.n_players,), None, (game.players or None,)))
    rows.append(Block("one", (), n_rows, ()))
    c = np.zeros(A.shape[1])
    c[:P] = 0.0 if weights is None else weights
    upper = np.full(A.shape[1], np.inf)
    inside = np.ones(P, dtype=bool) if support is None else float_array("support", support).reshape(-1) != 0
    if inside.size != P:
        raise InvalidData(f"support has {inside.size} entries; the game has {P} profiles")
    upper[:P] = inside
    upper[P:] = np.repeat(slack, game.shape)[: len(upper) - P]
    more: dict[str, Any] = {}
    if isinstance(objective, str) and objective == "max_gini":
        diagonal = np.zeros(len(c))
        diagonal[:P] = -2.0
        more = {"Q": sparse.diags_array(diagonal, format="csc"), "offset": 1.0}
    program = Program(
        name=NAMES[concept],
        sense=sense,
        c=c,
        A=A,
        row_lower=np.concatenate((np.full(n_rows, -np.inf), [1.0])),
        row_upper=np.concatenate((row_upper, [1.0])),
        col_lower=np.zeros(len(c)),
        col_upper=upper,
        columns=tuple(columns),
        rows=tuple(rows),
        structure=None if weights is None else Sifting(kept=len(c) - P),
        note=game.name,
        **more,
    )
    entropy = isinstance(objective, str) and objective == "max_entropy"
    return _with_entropy(program, np.flatnonzero(inside)) if entropy else program


def support_program(game: NormalFormGame, concept: Correlated, epsilon: npt.ArrayLike = 0.0) -> Program:
    r"""The program of the largest support: which profiles some (coarse) correlated equilibrium plays.

    .. math:: \max \sum_a s(a) \quad \text{s.t.} \quad 0 \le s(a) \le \min\{1, z(a)\}, \qquad
              \sum_a z(a) G_{ra} \le \epsilon_r \sum_a z(a) \ \ \forall r, \quad z \ge 0

    z is an equilibrium up to its scale, so that s is 1 where an equilibrium can be positive and 0 elsewhere. With ``"CE"`` epsilon
    counts for every recommendation by itself, which allows no fewer profiles.

    Raises
    ------
    UnknownName, InvalidData : as ``correlated_program``.
    """
    check_concept(concept)
    slack = np.repeat(_slack(game, epsilon), _deviations(game, concept))
    G = incentive_matrix(game, concept)[:-1]
    if slack.any():
        G = G - slack[:, None]
    builder = ProgramBuilder(f"largest support of a {NAMES[concept]}", "max")
    axes, labels = [game.player_label(i) for i in range(game.n_players)], game.actions
    z = builder.columns("z", game.shape, axes=axes, labels=labels, upper=LARGEST_SCALE)
    s = builder.columns("s", game.shape, axes=axes, labels=labels, upper=1.0)
    builder.add(builder.rows("deviation", int(G.shape[0]), axes=("deviation",), upper=0.0), z, G)
    least = builder.rows("least", game.shape, axes=axes, labels=labels, upper=0.0)
    k = np.arange(game.n_profiles)
    builder.add(least, s, k, k, 1.0)
    builder.add(least, z, k, k, -1.0)
    builder.objective(s, 1.0)
    return builder.build(note=game.name)


def check_sense(sense: Any) -> None:
    """Refuse what is neither ``"max"`` nor ``"min"``."""
    if not isinstance(sense, str) or sense not in ("max", "min"):
        raise InvalidData(f"sense is {sense!r}, not 'max' or 'min'")


def objective_weights(game: NormalFormGame, objective: Any) -> FloatArray | None:
    """The weight (profiles,) of each profile in a linear objective; None for entropy and Gini."""
    if isinstance(objective, str):
        if objective not in OBJECTIVES:
            raise unknown("objective", objective, (*OBJECTIVES, "('player', i)"))
        return np.asarray(game.welfare.reshape(-1)) if objective == "welfare" else None
    if isinstance(objective, tuple) and len(objective) == 2 and objective[0] == "player":
        return np.asarray(game.payoffs[game.player_number(objective[1])].reshape(-1))
    weights = float_array("objective", objective)
    if weights.shape not in (game.shape, (game.n_profiles,)):
        wanted = " x ".join(map(str, game.shape))
        raise InvalidData(f"objective has shape {' x '.join(map(str, weights.shape)) or 'scalar'}, expected {wanted}")
    return weights.reshape(-1)


def incentive_matrix(game: NormalFormGame, concept: Correlated) -> sparse.csc_array:
    """Rows of gains by deviation, in the units of ``payoff_units``, and a last row of ones; columns are profiles.

    Written straight into CSC, column by column.
    """
    unit = payoff_units(game)
    n, P = game.n_players, game.n_profiles
    width = sum(game.shape) - n + 1
    data = np.empty((P, width))
    rows = np.empty((P, width), dtype=np.int32)
    first = np.concatenate(([0], np.cumsum(_deviations(game, concept))))
    at = 0
    for i, m in enumerate(game.shape):
        if m == 1:
            continue
        u = np.moveaxis(game.payoffs[i], i, -1)
        gains = _off_diagonal(u[..., None, :] - u[..., :, None])
        part = slice(at, at + m - 1)
        data[:, part] = np.moveaxis(gains, -2, i).reshape(P, m - 1)
        if unit[i] != 1.0:
            data[:, part] /= unit[i]
        number = np.arange(m * m).reshape(m, m) if concept == "CE" else np.tile(np.arange(m), (m, 1))
        where = (first[i] + _off_diagonal(number)).astype(np.int32)
        spread = np.broadcast_to(where.reshape([m if j == i else 1 for j in range(n)] + [m - 1]), (*game.shape, m - 1))
        rows[:, part] = spread.reshape(P, m - 1)
        at += m - 1
    data[:, -1] = 1.0
    rows[:, -1] = first[-1]
    starts = np.arange(P + 1, dtype=np.int32) * width
    A = sparse.csc_array((data.reshape(-1), rows.reshape(-1), starts), shape=(int(first[-1]) + 1, P))
    if not data.all():
        A.eliminate_zeros()
    for part_of in (A.data, A.indices, A.indptr):
        part_of.setflags(write=False)
    return A


def largest_gains(game: NormalFormGame) -> FloatArray:
    """(N,) the most that each player gains by one change of action, over all profiles."""
    return np.array([float(np.ptp(payoff, axis=i).max()) for i, payoff in enumerate(game.payoffs)])


def payoff_units(game: NormalFormGame) -> FloatArray:
    """(N,) the unit of the rows of each player: ``units`` of ``largest_gains``."""
    return units(largest_gains(game))


def units(sizes: FloatArray) -> FloatArray:
    """The power of two nearest to each size; 1 for sizes from about 1 to 1000, and for 0.

    Tolerances of solvers are absolute: a gain of 1e-9 is nothing to them, and one of 1e9 never met. A power of two rounds nothing.
    """
    exponent = np.round(np.log2(np.where(sizes > 0, sizes, 1.0)))
    return np.asarray(np.exp2(np.where((exponent >= 0) & (exponent <= 10), 0.0, exponent)))


def _slack(game: NormalFormGame, epsilon: npt.ArrayLike) -> FloatArray:
    """(N,) what each player may gain, in the units of the rows."""
    slack = float_array("epsilon", epsilon, (game.n_players,))
    if slack.min() < 0:
        raise InvalidData(f"epsilon[{int(np.argmin(slack))}] is {slack.min():g}, less than 0")
    return slack / payoff_units(game)


def _off_diagonal(square: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., m, m) without its diagonal, (..., m, m - 1)."""
    m = square.shape[-1]
    lead = square.shape[:-2]
    flat = square.reshape(*lead, m * m)[..., 1:].reshape(*lead, m - 1, m + 1)
    return flat[..., :-1].reshape(*lead, m, m - 1)


def _deviations(game: NormalFormGame, concept: Correlated) -> IntArray:
    """(N,) rows of each player."""
    counts = np.asarray(game.shape, dtype=np.int64)
    return counts * counts if concept == "CE" else counts


def _row_blocks(game: NormalFormGame, concept: Correlated) -> list[Block]:
    counts = np.asarray(game.shape, dtype=np.int64)
    same_labels = len(set(game.actions)) <= 1
    shared = game.actions[0] if game.actions and same_labels else None
    alike = len(set(game.shape)) == 1 and same_labels
    if concept == "CCE":
        labels = (game.players or None, shared)
        return [
            Block(
                "regret", ("player", "to"), 0, (game.n_players, game.shape[0]) if alike else None, None if alike else counts, labels
            )
        ]
    if alike:
        m = game.shape[0]
        return [
            Block("incentive", ("player", "from", "to"), 0, (game.n_players, m, m), None, (game.players or None, shared, shared))
        ]
    starts = np.concatenate(([0], np.cumsum(counts * counts))).tolist()
    return [
        Block(f"incentive_{i}", ("from", "to"), starts[i], (m, m), None, (game.actions[i],) * 2 if game.actions else ())
        for i, m in enumerate(game.shape)
    ]


def _with_gains(game: NormalFormGame, A: sparse.csc_array) -> sparse.csc_array:
    """The matrix with the columns ``gain[player, from]`` and the rows ``allowance[player]`` before the last row."""
    incentive, one = A[:-1], A[-1:]
    counts = np.asarray(game.shape)
    each = sparse.csc_array(
        sparse.coo_array((-np.ones(incentive.shape[0]), _gain_of(counts)), shape=(incentive.shape[0], counts.sum()))
    )
    player = np.repeat(np.arange(len(counts)), counts)
    total = sparse.coo_array((np.ones(len(player)), (player, np.arange(len(player)))), shape=(len(counts), len(player)))
    return sparse.block_array([[incentive, each], [None, total], [one, None]], format="csc")


def _gain_of(counts: npt.NDArray[Any]) -> tuple[IntArray, IntArray]:
    """For every incentive row its number and that of its gain column."""
    column = np.repeat(np.arange(counts.sum()), np.repeat(counts, counts))
    return np.arange(len(column)), column


def _with_entropy(program: Program, inside: IntArray) -> Program:
    """The program with ``surprise[profile] <= -q log q`` for every profile that may be played, and their sum as its objective."""
    n, m, E = program.n_columns, program.n_rows, len(inside)
    k = np.arange(E)
    where = (np.concatenate((3 * k, 3 * k + 1)), np.concatenate((n + k, inside)))
    entries = sparse.coo_array((np.ones(2 * E), where), shape=(3 * E, n + E))
    old = sparse.csc_array((program.A.data, program.A.indices, np.pad(program.A.indptr, (0, E), mode="edge")), shape=(m, n + E))
    free = np.full(3 * E, np.inf)
    names = tuple(program.column_name(j)[1:].strip("[]") for j in inside.tolist())
    return Program(
        name=f"{program.name} of largest entropy",
        sense="max",
        c=np.concatenate((np.zeros(n), np.ones(E))),
        A=sparse.vstack((old, entries), format="csc"),
        row_lower=np.concatenate((program.row_lower, -free)),
        row_upper=np.concatenate((program.row_upper, free)),
        col_lower=np.zeros(n + E),
        col_upper=np.concatenate((program.col_upper, np.full(E, np.exp(-1.0) + 1e-6))),
        cones=tuple(Cone("exp", np.arange(m + 3 * j, m + 3 * j + 3), np.array([0.0, 0.0, 1.0])) for j in range(E)),
        columns=(*program.columns, Block("surprise", ("profile",), n, (E,), None, (names,))),
        rows=(*program.rows, Block("entropy", ("profile", "part"), m, (E, 3), None, (names, ("surprise", "chance", "one")))),
        note=program.note,
    )


__all__ = [
    "Correlated",
    "correlated_program",
    "incentive_matrix",
    "objective_weights",
    "payoff_units",
    "support_program",
    "units",
]
