"""What players can gain: exact gaps of pure profiles, mixed profiles and distributions, from the payoffs alone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.certificates.gap import GapCertificate, Witness
from eqsolve.errors import unknown
from eqsolve.normal_form.game import NormalFormGame, is_pure
from eqsolve.normal_form.polymatrix import PolymatrixGame

Correlated = Literal["CE", "CCE"]
CONCEPTS = ("CE", "CCE")


def action_values(payoff: FloatArray, q: FloatArray, i: int) -> FloatArray:
    r"""What player i earns (a, b) by playing b whenever a is recommended.

    .. math:: V_{ab} = \sum_{a_{-i}} q(a, a_{-i})\, u_i(b, a_{-i})

    Parameters
    ----------
    payoff : (m_1, ..., m_N) payoffs of player i.
    q : (m_1, ..., m_N) distribution over profiles.
    """
    m = payoff.shape[i]
    others = np.moveaxis(q, i, 0).reshape(m, -1)
    return np.asarray(others @ np.moveaxis(payoff, i, 0).reshape(m, -1).T)


def deviation_gains(game: NormalFormGame, distribution: npt.ArrayLike) -> tuple[FloatArray, ...]:
    r"""Per player the gain (m_i, m_i) of playing b whenever a is recommended, weighted by the probability of a.

    .. math:: G^i_{ab} = \sum_{a_{-i}} q(a, a_{-i}) \bigl[ u_i(b, a_{-i}) - u_i(a, a_{-i}) \bigr]

    Raises
    ------
    InvalidGame : not a distribution over the profiles of the game.
    """
    q = game.check_distribution(distribution)
    values = [action_values(_shortfall(game.payoffs[i], i), q, i) for i in range(game.n_players)]
    return tuple(V - np.diag(V)[:, None] for V in values)


def _shortfall(payoff: FloatArray, i: int) -> FloatArray:
    """Payoffs of player i less those of the best replies: the same gains, without the rounding of what all actions earn alike."""
    return np.asarray(payoff - payoff.max(axis=i, keepdims=True))


def correlated_gap(game: NormalFormGame, distribution: npt.ArrayLike, concept: Correlated = "CE") -> GapCertificate:
    r"""The exact gap of a distribution over profiles, the most that one player gains.

    .. math:: \text{CE: } \max_i \sum_a \max_b G^i_{ab}, \qquad \text{CCE: } \max_i \max_b \sum_a G^i_{ab}

    For ``"CE"`` a player sees the recommendation and may replace each action by another; for ``"CCE"`` a player replaces all of
    them by one action, before seeing any. O(profiles x actions); no solver and no number of a solver is used.

    Raises
    ------
    UnknownName : another concept.
    InvalidGame : not a distribution over the profiles of the game.

    Examples
    --------
    >>> from eqsolve.normal_form import chicken
    >>> print(correlated_gap(chicken(), [[1.0, 0.0], [0.0, 0.0]]))
    correlated gap 1, exact; worst: row: yield -> dare
    """
    check_concept(concept)
    best: tuple[float, int, str] = (0.0, 0, "")
    for i, G in enumerate(deviation_gains(game, distribution)):
        gain, move = _swaps(game, i, G) if concept == "CE" else _commitment(game, i, G)
        if gain > best[0]:
            best = (gain, i, move)
    return _certificate(game.player_label(best[1]), best[2], best[0], concept)


def nash_gap(game: NormalFormGame | PolymatrixGame, profile: Any) -> GapCertificate:
    """The exact Nash gap of a profile: the most that one player gains by another action.

    Parameters
    ----------
    profile : a pure profile (N,) of action numbers (for a normal-form game also labels), or one mixed strategy (m_i,) per player.

    Raises
    ------
    InvalidGame : not a profile of the game.
    """
    if isinstance(game, PolymatrixGame):
        played = game.check_profile(profile)
        best = [(own, values, int(np.argmax(values))) for own, values in zip(played, game.action_payoffs(played), strict=True)]
        start = [f"{int(own.argmax())} " if own.max() == 1.0 else "" for own in played]
        moves = [f"{before}-> {b}" for before, (_, _, b) in zip(start, best, strict=True)]
        gains = [float(own @ (values[b] - values)) for own, values, b in best]
        return _worst([f"player {i}" for i in range(game.n_players)], gains, moves)
    if is_pure(profile):
        where = game.check_profiles(profile)
        return _pure_gap(game, where)
    strategies = game.check_mixed(profile)
    names, most, moves = [], [], []
    for i, own in enumerate(strategies):
        values = _shortfall(game.payoffs[i], i)
        for j in range(game.n_players - 1, -1, -1):
            if j != i:
                values = np.tensordot(values, strategies[j], axes=([j], [0]))
        b = int(np.argmax(values))
        names.append(game.player_label(i))
        most.append(float(own @ (values[b] - values)))
        moves.append(f"-> {game.action_label(i, b)}")
    return _worst(names, most, moves)


def pure_gains(game: NormalFormGame) -> FloatArray:
    """(N, m_1, ..., m_N) what each player gains at each pure profile by a best response, at least 0."""
    gains = [game.payoffs[i].max(axis=i, keepdims=True) - game.payoffs[i] for i in range(game.n_players)]
    return np.stack(gains)


def _pure_gap(game: NormalFormGame, a: IntArray) -> GapCertificate:
    names, most, moves = [], [], []
    for i in range(game.n_players):
        values = game.payoffs[i][tuple(slice(None) if j == i else int(a[j]) for j in range(game.n_players))]
        b = int(np.argmax(values))
        names.append(game.player_label(i))
        most.append(float(values[b] - values[a[i]]))
        moves.append(f"{game.action_label(i, int(a[i]))} -> {game.action_label(i, b)}")
    return _worst(names, most, moves)


def _worst(names: list[str], gains: list[float], moves: list[str]) -> GapCertificate:
    k = int(np.argmax(gains))
    return _certificate(names[k], moves[k], gains[k], "NE")


def _swaps(game: NormalFormGame, i: int, G: FloatArray) -> tuple[float, str]:
    to = G.argmax(axis=1)
    gains = G[np.arange(len(G)), to]
    moved = np.flatnonzero(gains > 0)
    words = [f"{game.action_label(i, int(a))} -> {game.action_label(i, int(to[a]))}" for a in moved[np.argsort(-gains[moved])]]
    shown = ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")
    return float(np.maximum(gains, 0.0).sum()), shown


def _commitment(game: NormalFormGame, i: int, G: FloatArray) -> tuple[float, str]:
    total = G.sum(axis=0)
    b = int(np.argmax(total))
    return float(total[b]), f"always {game.action_label(i, b)}"


def _certificate(who: str, move: str, gain: float, concept: Literal["NE", "CE", "CCE"]) -> GapCertificate:
    value = max(gain, 0.0)
    return GapCertificate(concept, value, value, "exact", Witness(who, move, value) if value > 0 else None)


def check_concept(concept: Any) -> None:
    """Refuse what is neither ``"CE"`` nor ``"CCE"``."""
    if not isinstance(concept, str) or concept not in CONCEPTS:
        raise unknown("concept", concept, CONCEPTS)
