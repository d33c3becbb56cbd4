"""Games from other libraries: Gambit, OpenSpiel, QuantEcon. Each is imported when first used."""

from __future__ import annotations

from importlib import import_module
from itertools import product
from math import prod
from typing import Any

import numpy as np

from eqsolve.errors import BackendUnavailable, InvalidGame
from eqsolve.normal_form.game import NormalFormGame, check_size
from eqsolve.normal_form.nfg import parse_nfg


def from_gambit(game: Any) -> NormalFormGame:
    """From a ``pygambit.Game``: a table, or a tree in its reduced strategic form. Rational payoffs become the nearest float.

    Raises
    ------
    BackendUnavailable : pygambit is not installed.
    InvalidGame : not a game of pygambit.
    """
    gambit = _imported("pygambit", "gambit")
    if not isinstance(game, gambit.Game):
        raise InvalidGame(f"{type(game).__name__} is not a pygambit.Game", "A .nfg file is read by read_nfg, without pygambit.")
    return parse_nfg(game.to_nfg(), source="pygambit game")


def to_gambit(game: NormalFormGame) -> Any:
    """The game as a ``pygambit.Game`` table with floats taken exactly.

    Raises
    ------
    BackendUnavailable : pygambit is not installed.
    """
    gambit = _imported("pygambit", "gambit")
    made = gambit.Game.from_arrays(*game.payoffs, title=game.name)
    for i, player in enumerate(list(made.players)):
        if game.players:
            player.label = game.players[i]
        for a, strategy in enumerate(list(player.strategies) if game.actions else []):
            strategy.label = game.actions[i][a]
    return made


def from_open_spiel(game: Any) -> NormalFormGame:
    """From a game of OpenSpiel, or its name: matrix and tensor games, and other games in which all move once, at the same time.

    Raises
    ------
    BackendUnavailable : OpenSpiel is not installed.
    InvalidGame : not a game of OpenSpiel, or one with several moves or with chance.
    """
    spiel = _imported("pyspiel", "openspiel")
    if isinstance(game, str):
        try:
            game = spiel.load_game(game)
        except spiel.SpielError as cause:
            raise InvalidGame(f"OpenSpiel cannot load {game!r}: {str(cause)[:200]}") from cause
    if not isinstance(game, spiel.Game):
        raise InvalidGame(f"{type(game).__name__} is not a game of OpenSpiel")
    name = game.get_type().short_name
    if isinstance(game, spiel.MatrixGame):
        payoffs = np.stack([np.asarray(game.player_utilities(i), dtype=np.float64) for i in range(2)])
        rows = tuple(game.row_action_name(a) for a in range(game.num_rows()))
        columns = tuple(game.col_action_name(a) for a in range(game.num_cols()))
        clear = len(set(rows)) == len(rows) and len(set(columns)) == len(columns)
        return NormalFormGame(payoffs.reshape(2, len(rows), len(columns)), actions=(rows, columns) if clear else (), name=name)
    return _one_shot(spiel, game, name)


def _one_shot(spiel: Any, game: Any, name: str) -> NormalFormGame:
    """By playing every joint action of a game with one simultaneous move."""
    start = game.new_initial_state()
    if not start.is_simultaneous_node():
        raise InvalidGame(
            f"{name} does not begin with a simultaneous move",
            "A small tree of two players becomes a matrix by pyspiel.extensive_to_matrix_game.",
        )
    n = game.num_players()
    legal = [list(start.legal_actions(i)) for i in range(n)]
    shape = tuple(map(len, legal))
    check_size(shape)
    payoffs = np.empty((prod(shape), n))
    for k, joint in enumerate(product(*legal)):
        state = start.clone()
        state.apply_actions(list(joint))
        if not state.is_terminal():
            raise InvalidGame(
                f"{name} goes on after the first move", "Only games in which all move once, at the same time, are taken."
            )
        payoffs[k] = state.returns()
    labels = tuple(tuple(start.action_to_string(i, a) for a in legal[i]) for i in range(n))
    clear = all(len(set(one)) == len(one) for one in labels)
    return NormalFormGame(np.moveaxis(payoffs.reshape(*shape, n), -1, 0), actions=labels if clear else (), name=name)


def from_quantecon(game: Any) -> NormalFormGame:
    """From a ``quantecon.game_theory.NormalFormGame``, whose players each see their own action on the first axis.

    Raises
    ------
    BackendUnavailable : QuantEcon is not installed.
    InvalidGame : not a game of QuantEcon.
    """
    theory = _imported("quantecon.game_theory", "quantecon")
    if not isinstance(game, theory.NormalFormGame):
        raise InvalidGame(f"{type(game).__name__} is not a quantecon.game_theory.NormalFormGame")
    return NormalFormGame(np.moveaxis(np.asarray(game.payoff_profile_array, dtype=np.float64), -1, 0))


def to_quantecon(game: NormalFormGame) -> Any:
    """The game as a ``quantecon.game_theory.NormalFormGame``.

    Raises
    ------
    BackendUnavailable : QuantEcon is not installed.
    """
    theory = _imported("quantecon.game_theory", "quantecon")
    return theory.NormalFormGame(np.ascontiguousarray(np.moveaxis(game.payoffs, 0, -1)))


def _imported(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as cause:
        raise BackendUnavailable(f"{module.split('.')[0]} is not installed", f"pip install 'eqsolve[{extra}]'") from cause
