"""Finite games and finite Markov games, wired for the driver."""

from __future__ import annotations

from eqsolve.certificates import GapCertificate
from eqsolve.driver import System
from eqsolve.normal_form.algorithms import CorrelatedSelection, PureNashSelection, ZeroSum
from eqsolve.normal_form.game import NormalFormGame
from eqsolve.normal_form.markov import FiniteMarkovGame
from eqsolve.normal_form.markov_algorithm import MarkovLottery, MarkovSelection
from eqsolve.normal_form.markov_regret import markov_gap, policy_values
from eqsolve.normal_form.policies import Lottery, MixedProfile
from eqsolve.normal_form.polymatrix import PolymatrixGame
from eqsolve.normal_form.regret import correlated_gap, nash_gap


def _sizes(counts: tuple[int, ...]) -> str:
    low, high = min(counts), max(counts)
    actions = _count(high, "action") if low == high else f"{low} to {high} actions"
    return f"{_count(len(counts), 'player')}, {actions}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _certify(game: NormalFormGame, policy: Lottery | MixedProfile) -> GapCertificate:
    if isinstance(policy, Lottery):
        return correlated_gap(game, policy.distribution, policy.concept)
    return nash_gap(game, policy.strategies)


def _welfare(game: NormalFormGame, policy: Lottery | MixedProfile) -> float:
    q = policy.distribution if isinstance(policy, Lottery) else game.product(policy.strategies)
    return float(game.expected(q).sum())


NORMAL_FORM = System(
    name="normal_form",
    game=NormalFormGame,
    algorithms=(CorrelatedSelection, ZeroSum, PureNashSelection),
    describe=lambda game: f"{_sizes(game.shape)}, {_count(game.n_profiles, 'profile')}",
    certify=_certify,
    value=_welfare,
    value_name="welfare",
)

POLYMATRIX = System(
    name="polymatrix",
    game=PolymatrixGame,
    algorithms=(PureNashSelection,),
    describe=lambda game: f"{_sizes(tuple(game.n_actions.tolist()))}, {_count(len(game.pairs), 'payoff table')}",
    certify=lambda game, policy: nash_gap(game, policy.strategies),
    value=lambda game, policy: float(
        sum(own @ values for own, values in zip(policy.strategies, game.action_payoffs(policy.strategies), strict=True))
    ),
    value_name="welfare",
)


def _markov_welfare(game: FiniteMarkovGame, policy: MarkovLottery) -> float:
    earned = policy_values(game, policy.policy)[0].sum(axis=0)
    return float(earned.mean() if game.initial is None else earned @ game.initial)


MARKOV_GAME = System(
    name="markov_game",
    game=FiniteMarkovGame,
    algorithms=(MarkovSelection,),
    describe=lambda game: ", ".join(
        (_sizes(tuple(game.n_actions.max(axis=0).tolist())), _count(game.n_states, "state"), _count(game.horizon, "step"))
    ),
    certify=lambda game, policy: markov_gap(game, policy.policy, policy.concept),
    value=_markov_welfare,
    value_name="welfare",
)
