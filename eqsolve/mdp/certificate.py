r"""How far a policy is from optimal, from the process alone.

Nothing here is shared with the methods that find policies. Bounds come from single sweeps with directed rounding, which hold for
any vector of values; good vectors come from own sparse solves, whose accuracy nobody has to believe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import BoolArray, FloatArray, IntArray, float_array, frozen
from eqsolve.certificates import GapCertificate, Witness
from eqsolve.certificates.gap import EXACT_WIDTH
from eqsolve.mdp.enclosure import Enclosure, Interval, check_size, expectation, fixed_point
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.start_vector import solve_near

SWEEPS = 300
"""Sweeps after which a bracket is returned as wide as it is."""
ROUNDS = 60
"""Improvements of the vector from which the optimal values are bounded."""


@dataclass(frozen=True, slots=True, eq=False)
class ValueBracket:
    """True bounds of the values at the first step, and of their mean over the initial distribution.

    Parameters
    ----------
    lower, upper : (S,) ``lower <= v <= upper`` for the exact values of the numbers in the process.
    value_lower, value_upper : the same for the expectation from the initial distribution.
    """

    lower: FloatArray
    upper: FloatArray
    value_lower: float
    value_upper: float

    @property
    def width(self) -> float:
        """Largest distance of the bounds over the states."""
        return float((self.upper - self.lower).max())

    def __repr__(self) -> str:
        return f"<ValueBracket [{self.value_lower:.12g}, {self.value_upper:.12g}], width {self.width:.2g}>"


def value_bracket(mdp: FiniteMDP, policy: npt.ArrayLike, *, values: npt.ArrayLike | None = None) -> ValueBracket:
    """Rigorous bounds of the values of a policy, rounding included.

    Parameters
    ----------
    policy : (K,), with a horizon also (H, K).
    values : (S,) a vector near the values, a hint that saves time; any vector gives true bounds. Not used with a horizon.

    Raises
    ------
    InvalidMDP : not a policy of the process, values of a wrong shape, rewards so large that values overflow.

    Examples
    --------
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.5, initial=0)
    >>> value_bracket(mdp, [1, 0, 1])
    <ValueBracket [10, 10], width ...>
    """
    given = mdp.check_policy(policy)
    check_size(mdp)
    if mdp.horizon is not None:
        return _bracket(mdp, *_backward(mdp, given)[0])
    return _bracket(mdp, *_under_policy(Enclosure(mdp, 0), given, _hint(mdp, values)))


def optimal_bracket(mdp: FiniteMDP, *, values: npt.ArrayLike | None = None) -> ValueBracket:
    """Rigorous bounds of the optimal values, rounding included; parameters and errors as ``value_bracket``.

    Examples
    --------
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.5, initial=0)
    >>> optimal_bracket(mdp)
    <ValueBracket [10, 10], width ...>
    """
    check_size(mdp)
    if mdp.horizon is not None:
        return _bracket(mdp, *_backward(mdp, None)[0])
    return _bracket(mdp, *_optimum(Enclosure(mdp, 0), _hint(mdp, values)))


def optimality_gap(
    mdp: FiniteMDP, policy: npt.ArrayLike, *, values: npt.ArrayLike | None = None, everywhere: bool = False
) -> GapCertificate:
    r"""How much better the best policy is, computed from the process alone.

    .. math:: \sum_s \mu(s)\,(v^*(s) - v^\pi(s)) \qquad\text{or, everywhere,}\qquad \max_s\ v^*(s) - v^\pi(s)

    Both values are enclosed with directed rounding: from any vector v, :math:`v^* \le Tv + \gamma \max(Tv - v) / (1 - \gamma)`
    and its mirror images. With a horizon, backward induction encloses both.

    Parameters
    ----------
    policy : (K,), with a horizon also (H, K).
    values : (S,) a vector near the optimal values, a hint that saves time; any vector gives true bounds.
    everywhere : the largest gap over all states, with a horizon over all steps and states, instead of the expectation from the
        initial distribution.

    Returns
    -------
    GapCertificate "optimality" in reward units, "exact" when the width is rounding and "bracket" otherwise. The witness is the
    state and action of the largest one-step advantage :math:`q^\pi - v^\pi` among states that can be reached, and its size.

    Raises
    ------
    InvalidMDP : not a policy of the process, values of a wrong shape, rewards so large that values overflow.

    Examples
    --------
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.9, initial=0)
    >>> print(optimality_gap(mdp, [0, 1, 1]))
    optimality gap 49, exact; worst: state 0: action 0, gaining 4.9
    """
    given, hint = mdp.check_policy(policy), _hint(mdp, values)
    check_size(mdp)
    if mdp.horizon is not None:
        mine, best = _backward(mdp, given), _backward(mdp, None)
    else:
        step = Enclosure(mdp, 0)
        value = _under_policy(step, given, hint)
        mine, best = [value], [_optimum(step, _middle(value) if hint is None else hint)]
    if everywhere:
        ends = [((b[0] - m[1]).max(), (b[1] - m[0]).max()) for b, m in zip(best, mine, strict=True)]
        lower, upper = np.nextafter(max(a for a, _ in ends), -np.inf), np.nextafter(max(b for _, b in ends), np.inf)
    else:
        below, above = np.nextafter(best[0][0] - mine[0][1], -np.inf), np.nextafter(best[0][1] - mine[0][0], np.inf)
        lower, upper = expectation(mdp.initial, below, above)
    low, high = max(float(lower), 0.0), max(float(upper), 0.0)
    exact = high - low <= EXACT_WIDTH * (1.0 + high)
    witness = _witness(mdp, given, mine, everywhere) if high > 0 else None
    return GapCertificate("optimality", low, high, "exact" if exact else "bracket", witness)


def _bracket(mdp: FiniteMDP, lower: FloatArray, upper: FloatArray) -> ValueBracket:
    return ValueBracket(frozen(lower), frozen(upper), *expectation(mdp.initial, lower, upper))


def _hint(mdp: FiniteMDP, values: npt.ArrayLike | None) -> FloatArray | None:
    return None if values is None else float_array("values", values, (mdp.n_states,), error=InvalidMDP)


def _middle(interval: Interval) -> FloatArray:
    return np.asarray(0.5 * interval[0] + 0.5 * interval[1])


def _backward(mdp: FiniteMDP, policy: FloatArray | None) -> list[Interval]:
    """Enclosed values (S,) of every step, the one after the last included; optimal ones without a policy."""
    assert mdp.horizon is not None
    found = [(mdp.terminal, mdp.terminal)]
    step = Enclosure(mdp, 0)
    for h in reversed(range(mdp.horizon)):
        step = Enclosure(mdp, h) if len(mdp.transition) > 1 or mdp.reward.ndim == 2 else step
        (low, _), (_, high) = step.pairs(found[0][0]), step.pairs(found[0][1])
        found.insert(0, step.best((low, high)) if policy is None else step.under(policy[h], (low, high)))
    return found


def _under_policy(step: Enclosure, policy: FloatArray, hint: FloatArray | None) -> Interval:
    start = np.zeros(step.mdp.n_states) if hint is None else hint
    solved = solve_near(step.mdp, policy, start)
    return sweeps(lambda v: step.under(policy, step.pairs(v)), step.shift(policy), solved)


def _optimum(step: Enclosure, hint: FloatArray | None) -> Interval:
    """Bounds of the optimal values: greedy policies and their values give the vector, single sweeps give the bounds."""
    v = np.zeros(step.mdp.n_states) if hint is None else hint
    seen: IntArray | None = None
    for _ in range(ROUNDS):
        pairs = step.pairs(v)
        low, high = step.best(pairs)
        if (high - v).max() <= 4 * (high - low).max() and (low - v).min() >= -4 * (high - low).max():
            break
        v = _middle((low, high))
        choice = _greedy(step.mdp, _middle(pairs))
        if seen is not None and (choice == seen).all():
            break
        seen, policy = choice, np.zeros(step.mdp.n_pairs)
        policy[choice] = 1.0
        v = solve_near(step.mdp, policy, v)
        for _ in range(10):  # the news of one improvement travels ten steps further
            v = _middle(step.best(step.pairs(v)))
    return sweeps(lambda v: step.best(step.pairs(v)), step.shift(None), v)


def _greedy(mdp: FiniteMDP, q: FloatArray) -> IntArray:
    """(S,) the first best pair of each state."""
    first = mdp.first[:-1]
    best = np.flatnonzero(q == np.repeat(np.maximum.reduceat(q, first), mdp.n_actions))
    return best[np.searchsorted(best, first)]


def sweeps(image: Callable[[FloatArray], Interval], shift: tuple[float, float], v: FloatArray) -> Interval:
    """Bounds of the fixed point, intersected over sweeps until only rounding is left."""
    if shift[1] >= 1.0:
        raise InvalidMDP(
            f"gamma times a row of probabilities reaches {shift[1]:.17g}: values need not be finite",
            "Rows may sum to 1 + 1e-9 only where gamma is below 1 - 1e-9; make them sum to 1.",
        )
    low, high, best, patience = np.full_like(v, -np.inf), np.full_like(v, np.inf), np.inf, 0
    for _ in range(SWEEPS):
        swept = image(v)
        below, above = fixed_point(v, swept, shift)
        low, high = np.maximum(low, below), np.minimum(high, above)
        width, rounding = float((high - low).max()), float((swept[1] - swept[0]).max()) / (1.0 - shift[1])
        patience = 0 if width < 0.99 * best else patience + 1
        if width <= 1.5 * rounding or patience >= 5:
            break
        best, v = min(best, width), _middle(swept)
    return low, high


def _witness(mdp: FiniteMDP, policy: FloatArray, values: list[Interval], everywhere: bool) -> Witness | None:
    best: tuple[float, int, int] | None = None
    reached = _reachable(mdp) if not everywhere and not mdp.initial.all() else None
    step = Enclosure(mdp, 0)
    for h in range(mdp.n_steps):
        after = values[h + 1] if mdp.horizon is not None else values[0]
        step = Enclosure(mdp, h) if h and (len(mdp.transition) > 1 or mdp.reward.ndim == 2) else step
        gain = _middle(step.pairs(_middle(after))) - _middle(values[h])[mdp.owner]
        surely = step.pairs(after[0])[0] - values[h][1][mdp.owner]
        if reached is not None:
            surely[~reached[min(h, len(reached) - 1)][mdp.owner]] = -np.inf
        k = int(np.argmax(surely))
        if surely[k] > 0 and (best is None or gain[k] > best[0]):
            best = (float(gain[k]), h, k)
    if best is None:
        return None
    gain_, h, k = best
    s = mdp.state_of(k)
    move = f"action {mdp.action_label(k)}, gaining {gain_:.4g}"
    where = f"state {mdp.state_label(s)}" if mdp.horizon is None else f"step {h}, state {mdp.state_label(s)}"
    return Witness("", move, gain_, where, None if mdp.horizon is None else h, mdp.state_label(s))


def _reachable(mdp: FiniteMDP) -> list[BoolArray]:
    """The states (S,) that can be met: at each step, or without a horizon at all."""
    found = [mdp.initial > 0]
    if mdp.horizon is None:
        from scipy.sparse.csgraph import breadth_first_order

        S = mdp.n_states
        kernel = sparse.coo_array(mdp.kernel())
        sources = np.flatnonzero(found[0])
        rows = np.concatenate((mdp.owner[kernel.row], np.full(len(sources), S)))
        columns = np.concatenate((kernel.col, sources))
        graph = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(S + 1, S + 1))
        order = breadth_first_order(graph, S, return_predecessors=False)
        mask = np.zeros(S + 1, dtype=bool)
        mask[order] = True
        return [mask[:S]]
    for h in range(mdp.horizon - 1):
        found.append(np.asarray(mdp.kernel(h).T @ found[-1][mdp.owner].astype(float)) > 0)
    return found
