"""Congestion games, wired for the driver."""

from __future__ import annotations

from eqsolve.aggregative.congestion_games.atomic import AtomicRouting
from eqsolve.aggregative.congestion_games.certificate import certify
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.frank_wolfe import FrankWolfe
from eqsolve.aggregative.congestion_games.game import CongestionGame, describe
from eqsolve.aggregative.congestion_games.linear_masters import LinearMasters
from eqsolve.aggregative.congestion_games.path_equilibrium import PathEquilibrium
from eqsolve.driver import System


def _social_cost(game: CongestionGame, policy: PathFlows) -> float:
    return game.social_cost(game.aggregator(policy))


CONGESTION_GAME = System(
    name="congestion_game",
    game=CongestionGame,
    algorithms=(PathEquilibrium, AtomicRouting, FrankWolfe, LinearMasters),
    describe=describe,
    certify=certify,
    value=_social_cost,
    value_name="social cost",
)
