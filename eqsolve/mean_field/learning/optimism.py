"""Confidence sets of transition probabilities, and planning in the best or the worst process within them (Algorithm 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What planning within confidence sets gives.

    Parameters
    ----------
    pairs : (H, S) the state-action pair that is played. upper : (H + 1, S) optimistic values, of the best process for the best
        policy. lower : (H + 1, S) pessimistic ones, of the worst process for the policy that is played.
    """

    pairs: IntArray
    upper: FloatArray
    lower: FloatArray


def confidence_bounds(p: FloatArray, n: FloatArray, delta: float) -> tuple[FloatArray, FloatArray]:
    r"""The least and the largest transition probability of the confidence set of UCFH.

    .. math:: |p' - p| \le \min\Big( \sqrt{\tfrac{L}{2n}},\ \sqrt{\tfrac{2 p (1 - p) L}{n - 1}} + \tfrac{7 L}{3 (n - 1)} \Big),
              \qquad \Big| \sqrt{p'(1 - p')} - \sqrt{\tfrac{n}{n - 1} p (1 - p)} \Big| \le \sqrt{\tfrac{2 L}{n - 1}}

    with :math:`L = \ln(6 / \delta)`.

    Parameters
    ----------
    p : (E,) empirical probabilities, whatever where n = 0. n : (E,) how many samples they are of.
    delta : a true probability is outside with probability at most 4/3 delta.

    Notes
    -----
    The set need not be an interval; Algorithm 6 uses its ends only. Source: Dann and Brunskill (2015), Algorithm 1, with the
    unbiased variance, n / (n - 1) p (1 - p), for which the inequalities of Maurer and Pontil (2009) are proved.
    """
    L = np.log(6.0 / delta)
    lower, upper = np.zeros(len(p)), np.ones(len(p))
    once = n >= 1
    reach = np.sqrt(L / (2.0 * n[once]))
    lower[once], upper[once] = np.maximum(p[once] - reach, 0.0), np.minimum(p[once] + reach, 1.0)
    often = n >= 2
    mean, m, low, high = p[often], n[often] - 1.0, lower[often], upper[often]
    variance = mean * (1.0 - mean)
    reach = np.sqrt(2.0 * variance * L / m) + 7.0 * L / (3.0 * m)
    low, high = np.maximum(low, mean - reach), np.minimum(high, mean + reach)
    deviation, slack = np.sqrt(variance * (m + 1.0) / m), np.sqrt(2.0 * L / m)
    # sqrt(p'(1 - p')) is within [deviation - slack, deviation + slack] where p' is in [b, a] or [1 - a, 1 - b].
    b, a = _smaller_root(deviation - slack), _smaller_root(deviation + slack)
    in_left, in_right = np.maximum(low, b) <= np.minimum(high, a), np.maximum(low, 1.0 - a) <= np.minimum(high, 1.0 - b)
    least = np.where(in_left, np.maximum(low, b), np.maximum(low, 1.0 - a))
    most = np.where(in_right, np.minimum(high, 1.0 - b), np.minimum(high, a))
    lower[often], upper[often] = np.minimum(least, mean), np.maximum(most, mean)
    return lower, upper


def extreme_distribution(lower: FloatArray, upper: FloatArray, worth: FloatArray, first: IntArray) -> FloatArray:
    """(E,) the distributions of largest expected worth between bounds: each pair fills up its successors from the best one on.

    Parameters
    ----------
    lower, upper, worth : (E,) bounds and worth of the successors, pair by pair. first : (K + 1,) where the pairs begin, and E.

    Notes
    -----
    The inner loops of Algorithm 6, in which ``i' := i + 1`` must read ``i := i + 1``: as printed they never end. The same as an
    explicit linear program is ``optimistic_program``.
    """
    starts, counts = first[:-1], np.diff(first)
    order = np.lexsort((-worth, np.repeat(np.arange(len(counts)), counts)))
    room = (upper - lower)[order]
    filled = np.cumsum(room) - room
    filled -= np.repeat(filled[starts], counts)
    left = np.repeat(1.0 - np.add.reduceat(lower, starts), counts)
    p = np.empty(len(lower))
    p[order] = lower[order] + np.clip(left - filled, 0.0, room)
    return p


def fixed_horizon_evi(
    reward: FloatArray, first_pair: IntArray, successors: IntArray, first: IntArray, lower: FloatArray, upper: FloatArray
) -> Plan:
    r"""FixedHorizonEVI (Algorithm 6): backward induction in which every step takes the best transition probabilities of the set.

    .. math:: \tilde Q_t(s, a) = r_t(s, a) + \max_{\underline p \le p \le \overline p}
              \sum_{s'} p(s')\, \max_{a'} \tilde Q_{t+1}(s', a')

    Ties go to the first action. The pessimistic values of the policy come from the same sweep with the worst probabilities.

    Parameters
    ----------
    reward : (H, K). first_pair : (S + 1,) where the pairs of each state begin.
    successors : (E,) next states that each pair can have, pair by pair. first : (K + 1,) where those of each pair begin.
    lower, upper : (E,) bounds of their probabilities.
    """
    H, S = len(reward), len(first_pair) - 1
    pairs = np.empty((H, S), dtype=np.int64)
    best, worst = np.zeros((H + 1, S)), np.zeros((H + 1, S))
    numbers = np.arange(len(first) - 1)
    for t in range(H - 1, -1, -1):
        hope, fear = best[t + 1][successors], worst[t + 1][successors]
        q = reward[t] + np.add.reduceat(extreme_distribution(lower, upper, hope, first) * hope, first[:-1])
        best[t] = np.maximum.reduceat(q, first_pair[:-1])
        hit = np.where(q == np.repeat(best[t], np.diff(first_pair)), numbers, len(numbers))
        pairs[t] = np.minimum.reduceat(hit, first_pair[:-1])
        low = reward[t] + np.add.reduceat(extreme_distribution(lower, upper, -fear, first) * fear, first[:-1])
        worst[t] = low[pairs[t]]
    return Plan(pairs, best, worst)


def _smaller_root(deviation: FloatArray) -> FloatArray:
    """The smaller p with sqrt(p (1 - p)) = deviation, 0 below 0 and 1/2 above 1/2."""
    inside = np.clip(deviation, 0.0, 0.5)
    return np.asarray(0.5 * (1.0 - np.sqrt(np.maximum(1.0 - 4.0 * inside**2, 0.0))))
