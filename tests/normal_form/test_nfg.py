"""Gambit's files without Gambit, and games from other libraries."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from eqsolve.errors import BackendUnavailable, FileTrouble, InvalidGame
from eqsolve.normal_form import (
    TEXTBOOK,
    NormalFormGame,
    chicken,
    from_gambit,
    from_open_spiel,
    from_quantecon,
    nfg_text,
    parse_nfg,
    random_game,
    read_nfg,
    to_gambit,
    to_quantecon,
    write_nfg,
)

OUTCOMES = """NFG 1 R "Selten (IJGT, 75), Figure 2" { "Player 1" "Player 2" }

{ { "1" "2" "3" }
{ "1" "2" }
}
"a comment"

{
{ "" 1, 1 }
{ "" 0 2 }
{ "named \\"so\\"" 1/4, -2.5e-1 }
}
1 2 3 0 1 1
"""


def test_the_version_with_outcomes():
    game = parse_nfg(OUTCOMES)
    assert game.name == "Selten (IJGT, 75), Figure 2"
    assert game.shape == (3, 2)
    # The strategy of the first player changes fastest.
    assert game.payoffs[0].tolist() == [[1, 0], [0, 1], [0.25, 1]]
    assert game.payoffs[1].tolist() == [[1, 0], [2, 1], [-0.25, 1]]
    assert game.action_label(0, 2) == "3"


def test_the_version_with_payoffs_and_counts():
    game = parse_nfg('NFG 1 D "t" { "a" "b" "c" } { 2 1 2 }\n' + " ".join(map(str, range(12))))
    assert game.shape == (2, 1, 2)
    assert game.payoff([1, 0, 0]).tolist() == [3, 4, 5]
    assert game.payoff([0, 0, 1]).tolist() == [6, 7, 8]


@pytest.mark.parametrize("game", [*(make() for make in TEXTBOOK.values()), random_game([2, 3, 4])], ids=lambda g: g.name)
def test_written_and_read_back_bit_for_bit(game, tmp_path):
    again = read_nfg(write_nfg(game, tmp_path / "game.nfg"))
    assert again.payoffs.tobytes() == np.asarray(game.payoffs).tobytes()
    assert again.name == game.name
    if game.actions:
        assert again.actions == game.actions


def test_labels_with_quotes():
    game = NormalFormGame(np.zeros((2, 1, 2)), players=('a "b"', "c\\d"), actions=(("x y",), ("{", "}")), name='"')
    again = parse_nfg(nfg_text(game))
    assert (again.players, again.actions, again.name) == (game.players, game.actions, game.name)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("EFG 2 R", "line 1: expected NFG"),
        ('NFG 1 R "t" { "a" "b" }\n{ 2 2 }\n1 2 3 4 5 6 7', "line 3: the file ends after 7 of 8 payoffs"),
        ('NFG 1 R "t" { "a" "b" }\n{ 2 2 }\n1 2 3 4\n5 six 7 8', "line 4: expected a finite number; here stands six"),
        ('NFG 1 R "t" { "a" "b" }\n{ 2 2 }\n1 2 3 4\n5 6 7 8 9', "line 4: the game is complete"),
        ('NFG 1 R "t" { "a" "b" }\n{ 2 2 2 }\n1', "line 2: 3 lists of strategies for 2 players"),
        ('NFG 1 R "t" { "a" "b" }\n{ 1 1 }\n{ { "" 1 2 3 } }\n1', "line 3: outcome 1 has 3 payoffs"),
        ('NFG 1 R "t" { "a" "b" }\n{ 1 2 }\n{ { "" 1 2 } }\n1 2', "line 4: there are 1 outcomes; here stands 2"),
        ('NFG 1 R "t" { "a" "b" }\n{ 1 x }', "line 2: expected a finite number"),
        ('NFG 1 R "t" { "a" "b" }\n{ 1 1.5 } 1', "line 2: expected a number of strategies"),
        ('NFG 1 R "t" { }\n{ 1 1 }', "no players"),
        ('NFG 1 R "t\n', "line 1: a string that does not end"),
        ('NFG 1 R "t" { "a" "b" } { { "x" } { } } 1', "player 1 has no strategy"),
        ('NFG 1 R "t" { "a" "b" } { 1 1 } 1e999 1', "expected a finite number"),
        ('NFG 1 R "t" { "a" "b" } { 99999 99999 } 1', "9,999,800,001 profiles of 2 players"),
        ("", "line 1: the file ends too early"),
    ],
)
def test_errors_name_file_and_line(text, match, tmp_path):
    path = tmp_path / "bad.nfg"
    path.write_text(text)
    with pytest.raises(InvalidGame, match=rf"bad\.nfg.*{match}"):
        read_nfg(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileTrouble, match="nowhere"):
        read_nfg(tmp_path / "nowhere.nfg")
    (tmp_path / "latin.nfg").write_bytes(b'NFG 1 R "\xff"')
    with pytest.raises(InvalidGame, match="not UTF-8"):
        read_nfg(tmp_path / "latin.nfg")
    with pytest.raises(FileTrouble, match="cannot write"):
        write_nfg(chicken(), tmp_path / "no folder" / "game.nfg")


def test_gambit_reads_what_is_written_and_the_other_way_round():
    pygambit = pytest.importorskip("pygambit")
    for game in (chicken(), random_game([2, 3, 2])):
        theirs = to_gambit(game)
        assert np.allclose(from_gambit(theirs).payoffs, game.payoffs, rtol=1e-15)
        assert np.allclose(parse_nfg(theirs.to_nfg()).payoffs, game.payoffs, rtol=1e-15)
    with pytest.raises(InvalidGame, match=r"not a pygambit\.Game"):
        from_gambit(chicken())
    tree = pygambit.Game.new_tree(players=["a", "b"])
    assert from_gambit(tree).shape == (1, 1)


def test_open_spiel_games():
    pyspiel = pytest.importorskip("pyspiel")
    dilemma = from_open_spiel("matrix_pd")
    assert dilemma.payoffs[0].tolist() == [[5, 0], [10, 1]]
    assert dilemma.actions[0] == ("Cooperate", "Defect")
    blotto = from_open_spiel("blotto(coins=3,fields=2,players=3)")
    assert blotto.shape == (4, 4, 4)
    assert np.abs(blotto.welfare).max() < 1e-12
    tensor = from_open_spiel(pyspiel.create_tensor_game([[1, 2, 3, 4], [4, 3, 2, 1]], [2, 2]))
    assert tensor.payoffs.tolist() == [[[1, 2], [3, 4]], [[4, 3], [2, 1]]]
    for bad, match in (("tic_tac_toe", "simultaneous"), ("goofspiel(num_cards=3)", "goes on|simultaneous"), (3, "int is not")):
        with pytest.raises(InvalidGame, match=match):
            from_open_spiel(bad)
    with pytest.raises(InvalidGame, match="cannot load"):
        from_open_spiel("no_such_game_at_all")


def test_quantecon_games():
    pytest.importorskip("quantecon")
    game = random_game([2, 3, 4])
    assert from_quantecon(to_quantecon(game)).payoffs.tobytes() == np.asarray(game.payoffs).tobytes()
    with pytest.raises(InvalidGame, match="not a quantecon"):
        from_quantecon(game)


@pytest.mark.parametrize(
    ("call", "module", "extra"),
    [(from_gambit, "pygambit", "gambit"), (from_open_spiel, "pyspiel", "openspiel"), (from_quantecon, "quantecon", "quantecon")],
)
def test_what_is_not_installed_is_named_with_its_extra(monkeypatch, call, module, extra):
    for name in [module, *(one for one in sys.modules if one.startswith(module + "."))]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "quantecon.game_theory", None)
    with pytest.raises(BackendUnavailable, match=rf"eqsolve\[{extra}\]"):
        call(None)


@pytest.mark.parametrize("text", [None, 5, b"NFG"])
def test_what_is_not_text(text):
    with pytest.raises(InvalidGame, match="not text"):
        parse_nfg(text)
