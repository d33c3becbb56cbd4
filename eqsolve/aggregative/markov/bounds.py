"""The theorems on aggregative Markov games, each as a function with its constants and terms.

Every one comes as printed (``variant="paper"``) and corrected; ``docs/aggregative-markov.md`` lists what was wrong. A stage is a
step with a state; arrays over stages are (H, S).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.game import reduce_groups
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.tolerance import Tolerance
from eqsolve.arrays import FloatArray, float_array, frozen, real_number, whole_number
from eqsolve.certificates import Bound
from eqsolve.errors import unknown

Variant: TypeAlias = Literal["corrected", "paper"]
Rounding: TypeAlias = Literal["best", "nearest", "sampled"]
VARIANTS: tuple[Variant, ...] = ("corrected", "paper")
ROUNDINGS = ("best", "nearest", "sampled")
PAPER = "Tang, Tang and Wu"
VERTEX = "vertex rounding"
"""The name of the bound that holds with certainty."""
PARTS = ("eta", "2 b gamma", "(d+1) delta gamma", "drift")
"""What it is made of, stage by stage."""
ROOM = 1e-9
"""Relative room for rounding where a hypothesis compares computed numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class RewardRange:
    """Between what the rewards lie: least and most (H, T) of each type over all states, actions and attainable aggregators.

    Parameters
    ----------
    is_declared : whether the user's Lipschitz constants enter.
    """

    least: FloatArray
    most: FloatArray
    is_declared: bool

    @property
    def span(self) -> FloatArray:
        """(H, T) most minus least."""
        return np.asarray(self.most - self.least)

    @property
    def size(self) -> float:
        """The most, in absolute value, that a player can earn in all steps together."""
        return float(np.maximum(np.abs(self.least), np.abs(self.most)).sum(axis=0).max())

    @property
    def ahead(self) -> FloatArray:
        """(H,) by how much what a player earns after each step can differ, the largest of all players."""
        later = np.cumsum(self.span[::-1], axis=0)[::-1] - self.span
        return np.asarray(later.max(axis=1))


@lru_cache(maxsize=2)
def reward_range(game: AggregativeMarkovGame) -> RewardRange:
    """Bounds on the rewards on the attainable range, by interval evaluation where the family allows it.

    Elsewhere by the value in the middle and the Lipschitz constant. Exact for affine payoffs and curves.
    """
    least, most = np.full((game.horizon, game.n_types), np.inf), np.full((game.horizon, game.n_types), -np.inf)
    seen: dict[tuple[int, bytes], tuple[FloatArray, FloatArray]] = {}
    declared = False
    for h in range(game.horizon):
        lower, upper = game.lower[h], game.upper[h]
        box = lower.tobytes() + upper.tobytes()
        for s in range(game.n_states):
            family = game.reward(h, s)
            key = id(family), box
            if key not in seen:
                low, high = family.range_on(lower, upper)
                if not (np.isfinite(low).all() and np.isfinite(high).all()):
                    middle = family.batch((0.5 * (lower + upper))[None])[0]
                    room = family.lipschitz(lower, upper) * float((upper - lower).max()) / 2
                    low, high = np.maximum(low, middle - room), np.minimum(high, middle + room)
                    declared |= not family.lipschitz_is_computed
                widths = game.n_actions, game.offsets
                seen[key] = reduce_groups(np.minimum, low, *widths), reduce_groups(np.maximum, high, *widths)
            np.minimum(least[h], seen[key][0], out=least[h])
            np.maximum(most[h], seen[key][1], out=most[h])
    return RewardRange(frozen(least), frozen(most), declared)


def paper_zeta(game: AggregativeMarkovGame) -> FloatArray:
    """(H,) zeta = delta sqrt(8 n ln(2 m n)), m the largest number of actions."""
    n, m = game.n_players, int(game.n_actions.max())
    return np.asarray(game.delta * sqrt(8 * n * log(2 * m * n)))


def rounding_error(
    game: AggregativeMarkovGame, rounding: Rounding, beta: float = 0.05, variant: Variant = "corrected", *, stages: bool = True
) -> FloatArray:
    r"""(H,) E, how far the aggregator moves when a point of a stage program becomes a pure profile.

    A vertex moves by at most :math:`d \delta / 2` when each player takes the likeliest action, :math:`d \delta` when any of those
    in use may be taken. Sampling moves it by at most :math:`\delta \sqrt{n \ln(2 d k / \beta) / 2}` with probability
    :math:`1 - \beta`, for all of k samples at once.

    Parameters
    ----------
    variant : as printed, E is that of sampling. stages : k = H S, or 1.

    Raises
    ------
    UnknownName : no such rounding or variant. InvalidData : beta does not lie between 0 and 1.
    """
    _check(rounding, variant)
    failure = real_number("beta", beta, above=0.0, below=1.0)
    d, n = game.n_coordinates, game.n_players
    if rounding != "sampled" and variant == "corrected":
        return np.asarray(game.delta * d * (0.5 if rounding == "nearest" else 1.0))
    samples = game.horizon * game.n_states if stages else 1
    return np.asarray(game.delta * sqrt(n * (log(2 * d * samples) - log(failure)) / 2))


def vertex_rounding(game: AggregativeMarkovGame, parts: Mapping[str, npt.ArrayLike], excess: npt.ArrayLike) -> Bound:
    r"""Nash gap of a profile made of rounded vertices, from the numbers of its stages.

    .. math:: \sum_h \max_s \bigl[ \eta + \gamma (2b + (d + 1) \delta_h) + \text{drift} \bigr](h, s)

    holds from every first state. Where the stage games have the continuation values in them, gamma is theirs and nothing drifts;
    where they are the rewards alone, :math:`\text{drift} = \delta_h \gamma_P(h, s) \max_i (\max V_{i,h+1} - \min V_{i,h+1})`, V
    being the values of the profile itself.

    Parameters
    ----------
    parts : (H, S) each, what the bound of each stage is made of: by the names in ``PARTS``, the first three being the terms of
        ``eqsolve.aggregative.bounds.vertex_rounding``. Those left out are 0.
    excess : (H, S) extra actions in use; a vertex has at most d.

    Raises
    ------
    InvalidData : wrong shapes. UnknownName : another name.
    """
    shape, d = (game.horizon, game.n_states), game.n_coordinates
    source = "vertex rounding, stage by stage" + _declared(game)
    extra = float_array("excess", excess, shape)
    if extra.max() > d:
        h, s = (int(one) for one in np.argwhere(extra > d)[0])
        used = f"at step {h}, {game.state_label(s)} the point has {int(extra[h, s])} extra actions in use, a vertex at most d = {d}"
        return Bound(VERTEX, None, source, failed=(used,))
    for name in parts:
        if name not in PARTS:
            raise unknown("part of the bound", name, PARTS)
    table = {name: float_array(name, part, shape) for name, part in parts.items()}
    total = sum(table.values(), np.zeros(shape))
    worst = np.argmax(total, axis=1)[:, None]
    terms = {name: float(np.take_along_axis(part, worst, axis=1).sum()) for name, part in table.items() if part.any()}
    return Bound(VERTEX, sum(terms.values()), source, terms)


def theorem_3_1(
    game: AggregativeMarkovGame,
    half_width: npt.ArrayLike,
    eta: npt.ArrayLike | None = None,
    *,
    rounding: Rounding = "sampled",
    beta: float = 0.05,
    variant: Variant = "corrected",
) -> Bound:
    r"""Nash gap of the state-wise algorithm.

    As printed, with one constant each for all stages:

    .. math:: (\zeta + 4\alpha + 2\delta + 2E)\, \gamma_r H + \delta \gamma_P \tfrac{H (H - 1)}{2}

    which takes :math:`V_{h+1}` to have a range of H - h. Corrected, with :math:`D_h = \max_i \sum_{h' > h} (\max r_{i,h'} - \min
    r_{i,h'})` in its place:

    .. math:: \sum_h \max_s \bigl[ (\zeta_h + 4b + 2\delta_h + 2E_h)\, \gamma_r(h, s) + \delta_h\, \gamma_P(h, s)\, D_h \bigr]

    Parameters
    ----------
    half_width : b, the paper's alpha, a number or (H, S). eta : (H, S) the tolerances used; the paper's when left out.
    rounding : how points became profiles. beta : probability of failure of the sampling; as printed, of each one of the samples.

    Raises
    ------
    UnknownName : no such rounding or variant. InvalidData : wrong shapes, beta not between 0 and 1.
    """
    return _nash_bound(game, half_width, eta, "Theorem 3.1", rounding, beta, variant)


def theorem_4_1(
    game: AggregativeMarkovGame,
    half_width: npt.ArrayLike,
    eta: npt.ArrayLike | None = None,
    *,
    rounding: Rounding = "sampled",
    beta: float = 0.05,
    variant: Variant = "corrected",
) -> Bound:
    r"""Nash gap of aggregative backward induction.

    As printed, with one constant each for all stages:

    .. math:: (\zeta + 4\alpha + 2\delta + 2E) \bigl( \gamma_r H + \gamma_P \tfrac{H (H - 1)}{2} \bigr)

    Corrected, with D as in ``theorem_3_1``:

    .. math:: \sum_h \max_s\ (\zeta_h + 4b + 2\delta_h + 2E_h)\, (\gamma_r(h, s) + \gamma_P(h, s)\, D_h)

    Parameters
    ----------
    half_width, eta, rounding, beta, variant : as of ``theorem_3_1``; beta covers all samples together.

    Raises
    ------
    UnknownName : no such rounding or variant. InvalidData : wrong shapes, beta not between 0 and 1.
    """
    return _nash_bound(game, half_width, eta, "Theorem 4.1", rounding, beta, variant)


def _nash_bound(
    game: AggregativeMarkovGame,
    half_width: npt.ArrayLike,
    eta: npt.ArrayLike | None,
    theorem: str,
    rounding: Rounding,
    beta: float,
    variant: Variant,
) -> Bound:
    b = float_array("half_width", half_width, (game.horizon, game.n_states))
    looks_ahead = theorem == "Theorem 4.1"
    # The best rounding has no larger gap than the nearest.
    as_if: Rounding = "nearest" if rounding == "best" else rounding
    E = rounding_error(game, as_if, beta, variant, stages=looks_ahead or variant == "corrected")
    likely = variant == "paper" or rounding == "sampled"
    name = _name(theorem, variant, beta if likely else None)
    ranges, zeta = reward_range(game), paper_zeta(game)
    ahead = np.arange(game.horizon)[::-1].astype(float) if variant == "paper" else ranges.ahead
    slope = game.gamma_rewards + (game.gamma_transition * ahead[:, None] if looks_ahead else 0.0)
    source = PAPER + _declared(game)
    failed = [] if variant == "corrected" else _unit_rewards(ranges) + _vertex_within(game, rounding, E)
    failed += _tolerated(game, eta, slope * (zeta[:, None] + 2 * b + game.delta[:, None]) + ROOM * ranges.size)
    if failed:
        return Bound(name, None, source, failed=tuple(failed))
    if variant == "paper":
        alpha, delta, H = float(b.max()), float(game.delta.max()), game.horizon
        gamma_r, gamma_P = float(game.gamma_rewards.max()), float(game.gamma_transition.max())
        steps = gamma_r * H + (gamma_P * H * (H - 1) / 2 if looks_ahead else 0.0)
        terms = _terms(steps, float(zeta.max()), alpha, delta, float(E.max()))
        if not looks_ahead:
            terms["delta gamma_P H (H - 1) / 2"] = delta * gamma_P * H * (H - 1) / 2
        return Bound(name, sum(terms.values()), source, terms)
    width = zeta[:, None] + 4 * b + 2 * game.delta[:, None] + 2 * E[:, None]
    drift = np.zeros_like(width) if looks_ahead else game.delta[:, None] * game.gamma_transition * ahead[:, None]
    total = 0.0
    terms = dict.fromkeys(_terms(0, 0, 0, 0, 0), 0.0) | ({} if looks_ahead else {"delta gamma_P D": 0.0})
    for h, s in enumerate(np.argmax(width * slope + drift, axis=1)):
        each = _terms(float(slope[h, s]), float(zeta[h]), float(b[h, s]), float(game.delta[h]), float(E[h]))
        each |= {} if looks_ahead else {"delta gamma_P D": float(drift[h, s])}
        terms = {name: terms[name] + term for name, term in each.items()}
        total += sum(each.values())
    return Bound(name, total, source, terms)


def theorem_4_2(
    game: AggregativeMarkovGame,
    half_width: npt.ArrayLike,
    tolerance: Tolerance,
    *,
    rounding: Rounding = "sampled",
    beta: float = 0.05,
    variant: Variant = "corrected",
) -> Bound:
    r"""By how much the welfare of aggregative backward induction may fall short of OPT(zeta), in units of welfare.

    It bounds no gap. OPT(zeta) is the best welfare of a profile that plays a zeta-approximate equilibrium in every stage game *with
    the continuation values of the answer*. As printed, with l the range of the total welfare of a step and E in units of the
    aggregator:

    .. math:: \alpha \gamma_P \tfrac{H (H - 1)}{2}\, l + H E

    The proof loses twice alpha and forgets that rounding moves the aggregator, and that it moves the welfare by another amount.
    Corrected, with :math:`D^w_h` the range of the total welfare after step h:

    .. math:: \sum_h \max_s\ \gamma_P(h, s)\, (2b + E_h)\, D^w_h + E^w_h

    where :math:`E^w = c\, d \max_{i} (\max_j w_{ij} - \min_j w_{ij})`, c = 1/2 for the nearest rounding and 1 for the best one, and
    for sampling :math:`E^w = \sqrt{\sum_i (\max_j w_{ij} - \min_j w_{ij})^2 \ln(2 (d + 1) H S / \beta) / 2}`.

    Parameters
    ----------
    tolerance : of the stage programs; ``"opt"`` and ``"paper"`` admit the equilibria that OPT ranges over.
    half_width, rounding, beta, variant : as of ``theorem_3_1``. What is printed is not true in general.

    Raises
    ------
    UnknownName : no such rounding or variant. InvalidData : wrong shapes, beta not between 0 and 1.
    """
    b = float_array("half_width", half_width, (game.horizon, game.n_states))
    d, H, S = game.n_coordinates, game.horizon, game.n_states
    E = rounding_error(game, rounding, beta, variant)
    least, most = (reduce_groups(one, game.weights, game.n_actions, game.offsets) for one in (np.minimum, np.maximum))
    range_of_step = (most @ game.players).max(axis=1) - (least @ game.players).min(axis=1)
    likely = variant == "paper" or rounding == "sampled"
    name = _name("welfare loss, Theorem 4.2", variant, beta if likely else None)
    source = PAPER + _declared(game)
    if tolerance.preset not in ("opt", "paper"):
        admitted = f"the tolerance {tolerance.name} need not admit every equilibrium of the stage games"
        return Bound(name, None, source, failed=(admitted,))
    if variant == "paper":
        gamma_P = float(game.gamma_transition.max())
        terms = {
            "alpha gamma_P l H (H - 1) / 2": float(b.max()) * gamma_P * float(range_of_step.max()) * H * (H - 1) / 2,
            "H E": H * float(E.max()),
        }
        return Bound(name, sum(terms.values()), source, terms)
    span = most - least
    if rounding == "sampled":
        share = log(2 * (d + 1) * H * S) - log(beta)
        E = np.asarray(game.delta * sqrt(game.n_players * share / 2))
        moved = np.sqrt(share / 2 * (span**2 @ game.players))
    else:
        moved = d * (0.5 if rounding == "nearest" else 1.0) * span.max(axis=2)
    ahead = (np.cumsum(range_of_step[::-1])[::-1] - range_of_step)[:, None]
    cells, aggregator = 2 * b * game.gamma_transition * ahead, E[:, None] * game.gamma_transition * ahead
    worst = np.argmax(cells + aggregator + moved, axis=1)[:, None]
    parts = {"2 b gamma_P D": cells, "E gamma_P D": aggregator, "E_w": moved}
    terms = {name: float(np.take_along_axis(part, worst, axis=1).sum()) for name, part in parts.items()}
    return Bound(name, sum(terms.values()), source, terms)


def theorem_5_1(
    game: AggregativeMarkovGame,
    solving: Bound,
    episodes: int,
    cells: int,
    half_width: npt.ArrayLike,
    failure: float = 0.05,
    *,
    plans_every_episode: bool = True,
    variant: Variant = "corrected",
) -> Bound:
    r"""Nash gap of the best profile of K episodes of Aggre-VI, the rewards being known.

    As printed, the constants that O() hides taken as 1, m the largest number of actions:

    .. math:: \epsilon_{solve} + \gamma_P \alpha H^2 + \sqrt{H^4 S^2 |X| \iota / K}, \qquad \iota = \ln(S m K H / p)

    Corrected, all constants written out, with D as in ``theorem_3_1``, :math:`D_0` the range of everything that can be earned,
    :math:`\iota = S \ln 2 + \ln(2 H S |X| K / p)`, and the bonus :math:`D_h \sqrt{\iota / 2N}`:

    .. math:: \epsilon_{solve} + 6 b \sum_h \max_s \gamma_P(h, s) D_h + \sum_h D_h \Bigl( \frac{S |X|}{K}
              + 6 \sqrt{\frac{S |X| \iota}{2 K}} \Bigr) + \sqrt{\frac{(D_0^2 + \sum_h D_h^2) \ln(2/p)}{2 K}}

    The width of a visited cell is that of its estimate three times over: above, below, and for the next width under the true
    transitions. Each time a visit and the profile may lie b from the centre of the cell, on both sides of it. The sum of
    :math:`1/\sqrt N` over the visits is at most :math:`2 \sqrt{S |X| K}`, first visits cost all there is to earn, and the rest is
    Azuma's inequality.

    Parameters
    ----------
    solving : epsilon_solve, the bound on the stage games' part: ``theorem_4_1``, or ``vertex_rounding`` of the optimistic stages.
    episodes : K. cells : |X|, of the learning grid. half_width : b of its cells, a number or (H, S). failure : p.
    plans_every_episode : whether a new plan was made after every episode, as the theorem has it.

    Raises
    ------
    UnknownName : no such variant. InvalidData : K or |X| below 1, p not between 0 and 1, wrong shapes.
    """
    _check("sampled", variant)
    K, X = whole_number("episodes", episodes, 1), whole_number("cells", cells, 1)
    p = real_number("failure", failure, above=0.0, below=1.0)
    b = float_array("half_width", half_width, (game.horizon, game.n_states))
    H, S = game.horizon, game.n_states
    name = _name("Theorem 5.1", variant, p)
    source = PAPER + _declared(game)
    ranges = reward_range(game)
    failed = list(solving.failed) + (_unit_rewards(ranges) if variant == "paper" else [])
    if not plans_every_episode:
        failed.append("a plan was kept for several episodes, of which the theorem makes one each")
    if failed or solving.value is None:
        return Bound(name, None, source, failed=tuple(failed))
    if variant == "paper":
        iota = log(S * int(game.n_actions.max()) * H) + log(K) - log(p)
        terms = {
            "epsilon_solve": solving.value,
            "gamma_P alpha H^2": float(game.gamma_transition.max()) * float(b.max()) * H**2,
            "sqrt(H^4 S^2 |X| iota / K)": H**2 * S * sqrt(X * iota / K),
        }
        return Bound(name, sum(terms.values()), source, terms)
    D, most = ranges.ahead, float(ranges.span.sum(axis=0).max())
    iota = S * log(2) + log(2 * H * S) + log(X) + log(K) - log(p)
    terms = {
        "epsilon_solve": solving.value,
        "6 b gamma_P D": 6 * float((b * game.gamma_transition).max(axis=1) @ D),
        "first visits": float(D.sum()) * S * X / K,
        "bonus": float(D.sum()) * 6 * sqrt(S * X * iota / (2 * K)),
        "chance": sqrt((most**2 + float(D @ D)) * log(2 / p) / (2 * K)),
    }
    return Bound(name, sum(terms.values()), source, terms)


def _name(theorem: str, variant: Variant, failure: float | None) -> str:
    form = "as printed" if variant == "paper" else "corrected"
    return f"{theorem} {form}" + ("" if failure is None else f", with probability {1 - failure:g}")


def _terms(slope: float, zeta: float, b: float, delta: float, E: float) -> dict[str, float]:
    return {"zeta": zeta * slope, "4 alpha": 4 * b * slope, "2 delta": 2 * delta * slope, "2 E": 2 * E * slope}


def _check(rounding: str, variant: str) -> None:
    for kind, name, names in (("rounding", rounding, ROUNDINGS), ("variant", variant, VARIANTS)):
        if name not in names:
            raise unknown(kind, name, names)


def _declared(game: AggregativeMarkovGame) -> str:
    return "" if game.lipschitz_is_computed else " (declared Lipschitz constants)"


def _unit_rewards(ranges: RewardRange) -> list[str]:
    """What is printed takes values of step h to have a range of H - h + 1; rewards in [-1, 1] have twice that."""
    most = float(ranges.span.max())
    if most <= 1 + ROOM:
        return []
    known = "by the declared Lipschitz constants " if ranges.is_declared else ""
    return [f"{known}a player's rewards of one step range over {most:.4g}, more than the 1 that the proof allows"]


def _vertex_within(game: AggregativeMarkovGame, rounding: Rounding, E: FloatArray) -> list[str]:
    """A rounded vertex has what the theorem says of a sample, where it moves no farther; its best rounding has no larger gap."""
    if rounding == "sampled" or (game.n_coordinates * game.delta / 2 <= E * (1 + ROOM)).all():
        return []
    h = int(np.argmax(game.n_coordinates * game.delta / 2 - E))
    moved = game.n_coordinates * game.delta[h] / 2
    return [f"rounding a vertex may move by d delta / 2 = {moved:.4g}, more than the sampling error {E[h]:.4g}"]


def _tolerated(game: AggregativeMarkovGame, eta: npt.ArrayLike | None, allowed: FloatArray) -> list[str]:
    if eta is None:
        return []
    used = float_array("eta", eta, allowed.shape)
    over = used > allowed * (1 + ROOM)
    if not over.any():
        return []
    h, s = (int(one) for one in np.argwhere(over)[0])
    where = f"step {h}, {game.state_label(s)}"
    return [f"the tolerance {used[h, s]:.4g} at {where} exceeds the paper's, {allowed[h, s]:.4g}"]
