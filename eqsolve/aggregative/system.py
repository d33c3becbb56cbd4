"""Aggregative games in normal form, wired for the driver."""

from __future__ import annotations

from functools import lru_cache

from eqsolve.aggregative.certificate import nash_gap
from eqsolve.aggregative.exact_pure import ExactPureNash
from eqsolve.aggregative.fixed_point import FixedPointNash
from eqsolve.aggregative.game import AggregativeGame, describe
from eqsolve.aggregative.nash import AggregativeNash
from eqsolve.aggregative.potential_nash import PotentialNash
from eqsolve.aggregative.profile import PureProfile
from eqsolve.certificates import GapCertificate
from eqsolve.driver import System


@lru_cache(maxsize=1)
def _merged(game: AggregativeGame) -> AggregativeGame:
    return game.merged()


def _certify(game: AggregativeGame, policy: PureProfile) -> GapCertificate:
    return nash_gap(_merged(game), policy.plays)


def _welfare(game: AggregativeGame, policy: PureProfile) -> float:
    return _merged(game).social_welfare(policy.plays)


AGGREGATIVE = System(
    name="aggregative",
    game=AggregativeGame,
    algorithms=(AggregativeNash, PotentialNash, FixedPointNash, ExactPureNash),
    describe=describe,
    certify=_certify,
    value=_welfare,
    value_name="welfare",
)
