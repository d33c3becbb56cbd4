"""Model files that are wrong: each is refused with the file, the key or line, the value and a remedy."""

from __future__ import annotations

import re
import zipfile

import numpy as np
import pytest

from eqsolve.errors import EqsolveError, FileTrouble, InvalidModelFile, UnknownName
from eqsolve.modelfile import read_model

HEAD = "eqsolve: 1\nsystem: aggregative\n"
GAME = HEAD + "game: {n_actions: 2, contribution: [0, 1], payoff: {family: affine, base: [0, 1], slope: [1, 1]}}\n"


def refused(path, *words: str) -> EqsolveError:
    with pytest.raises(EqsolveError) as caught:
        read_model(path)
    text = str(caught.value)
    for word in words:
        assert word in text, text
    return caught.value


TEXTS = {
    "empty": ("", "is empty"),
    "only a comment": ("# nothing\n", "is empty"),
    "a list": ("- 1\n", "holds a list"),
    "text": ("hello", "holds a text"),
    "truncated": (HEAD + "game: {n_actions: [2, ", "a.yaml:3: not YAML", "truncated"),
    "tab": (HEAD + "game:\n\tplayers: 3\n", "a.yaml:4: not YAML"),
    "a python object": (HEAD + "game: !!python/object:os.system {}\n", "not YAML"),
    "an alias": (HEAD + "game: &x {generator: market}\nalgorithm: *x\n", "a.yaml:4", "alias *x"),
    "a bad date": (HEAD + "name: 2001-99-99\n", "not YAML"),
    "a control character": (HEAD + "name: \x00\n", "not YAML"),
    "deep nesting": (HEAD + "game: " + "[" * 5000, "not YAML"),
    "a key twice": (HEAD + "seed: 1\ngame: {generator: market}\nseed: 2\n", "a.yaml:5", "seed is given twice, first on line 3"),
    "an inner key twice": (HEAD + "game:\n  generator: market\n  generator: congestion\n", "a.yaml:5: the key game.generator"),
    "no version": ("system: aggregative\n", "eqsolve is missing", "`eqsolve: 1`"),
    "another version": ("eqsolve: 2\nsystem: aggregative\n", "a.yaml:1: eqsolve is 2", "Update"),
    "a version in words": ("eqsolve: one\nsystem: aggregative\n", "eqsolve is 'one'"),
    "no system": ("eqsolve: 1\n", "system is missing", "aggregative"),
    "unknown system": ("eqsolve: 1\nsystem: agregative\n", "a.yaml:2", "'agregative'", "Did you mean 'aggregative'"),
    "no game": (HEAD, "the key game is missing"),
    "unknown key": (GAME + "sede: 1\n", "a.yaml:4: unknown key sede", "Did you mean 'seed'"),
    "unknown key of a generator": (
        HEAD + "game:\n  generator: congestion\n  player: 3\n",
        "a.yaml:5: unknown key game.player",
        "Did you mean 'players'",
    ),
    "unknown key of an algorithm": (
        GAME + "algorithm: {tolerances: opt}\n",
        "algorithm: unknown parameter of AggregativeNash 'tolerances'",
        "'tolerance'",
    ),
    "unknown generator": (HEAD + "game: {generator: congstion}\n", "'congstion'", "Did you mean 'congestion'"),
    "unknown family": (GAME.replace("affine", "afine"), "'afine'", "Did you mean 'affine'"),
    "no family": (GAME.replace("family: affine, ", ""), "game.payoff", "family is missing"),
    "a game in words": (HEAD + "game: congestion\n", "game is 'congestion'"),
    "a payoff in words": (GAME.replace("{family: affine, base: [0, 1], slope: [1, 1]}", "affine"), "payoff is 'affine'"),
    "wrong type": (HEAD + "game: {generator: congestion, players: many}\n", "game.players is 'many'", "integer"),
    "half a player": (HEAD + "game: {generator: congestion, players: 2.5}\n", "game.players is 2.5"),
    "yes for a number": (HEAD + "game: {generator: congestion, players: yes}\n", "game.players is true, not a whole number"),
    "no players": (HEAD + "game: {generator: congestion, players: 0}\n", "a.yaml:3: game", "players"),
    "seed below 0": (GAME + "seed: -1\n", "a.yaml:4: seed is -1"),
    "no seconds": (GAME + "limits: {seconds: 0}\n", "limits.seconds is 0"),
    "NaN": (GAME.replace("base: [0, 1]", "base: [0, .nan]"), "game.payoff.base", "[1] is nan"),
    "infinite": (GAME.replace("[0, 1]", "[0, .inf]", 1), "game.contribution", "[1] is inf"),
    "text among numbers": (GAME.replace("base: [0, 1]", "base: [0, one]"), "game.payoff.base", "'one'"),
    "true among numbers": (GAME.replace("base: [0, 1]", "base: [0, true]"), "game.payoff.base", "True"),
    "null for an array": (GAME.replace("base: [0, 1]", "base: null"), "game.payoff.base"),
    "rows of different length": (GAME.replace("slope: [1, 1]", "slope: [[1], [1, 2]]"), "game.payoff.slope"),
    "wrong length": (GAME.replace("base: [0, 1]", "base: [0, 1, 2]"), "a.yaml:3: game", "slope", "expected 3"),
    "wrong shape": (GAME.replace("contribution: [0, 1]", "contribution: [[[0]], [[1]]]"), "contribution has shape 2 x 1 x 1"),
    "columns that do not divide": (GAME.replace("n_actions: 2", "n_actions: 3"), "n_actions is 3", "2 rows"),
    "an empty action set": (GAME.replace("n_actions: 2", "n_actions: [2, 0]"), "an action set is empty"),
    "fewer labels than types": (GAME.replace("{n_actions", "{labels: {types: [a, b]}, n_actions"), "2 names of types, expected 1"),
    "labels that are no list": (
        GAME.replace("{n_actions", "{labels: {types: a}, n_actions"),
        "labels.types",
        "not a list of names",
    ),
    "an unknown tolerance": (
        GAME + "algorithm: {tolerance: optimal}\n",
        "a.yaml:4: algorithm",
        "unknown tolerance 'optimal'",
        "'opt'",
    ),
    "a negative tolerance": (GAME + "algorithm: {tolerance: -1}\n", "tolerance is -1"),
    "a tolerance of true": (GAME + "algorithm: {tolerance: true}\n", "algorithm: tolerance is True"),
    "an unknown algorithm": (
        GAME + "algorithm: {name: Nash}\n",
        "algorithm: unknown algorithm of aggregative games 'Nash'",
        "AggregativeNash",
    ),
    "an unknown variant": (GAME + "algorithm: {variant: draft}\n", "variant is 'draft'"),
    "half a source": (
        GAME.replace("base: [0, 1]", "base: {csv: a.csv}"),
        "game.payoff.base has the keys csv",
        "{csv: file, column: name}",
    ),
    "a numbered column": (GAME.replace("base: [0, 1]", "base: {csv: a.csv, column: 3}"), "column is 3, not a name"),
    "a file that is not there": (
        GAME.replace("base: [0, 1]", "base: {csv: gone.csv, column: x}"),
        "a.yaml:3: game.payoff.base: cannot read CSV file",
        "gone.csv",
        "relative to the folder",
    ),
}


@pytest.mark.parametrize(("text", "words"), [(one[0], one[1:]) for one in TEXTS.values()], ids=TEXTS)
def test_text(text, words, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert isinstance(refused(path, str(path), *words), InvalidModelFile)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"eqsolve: \xff\xfe")
    refused(tmp_path / "a.yaml", "byte 9 is not UTF-8")


def test_several_mistakes_are_counted(tmp_path):
    (tmp_path / "a.yaml").write_text(HEAD + "game: {generator: congestion, players: x, roads: y}\nseed: z\n")
    refused(tmp_path / "a.yaml", "a.yaml:3: game.players is 'x'", "2 more")


CELLS = {
    "text for a number": ("g\n0\nmany\n", "data.csv:3: column 'g' is 'many'"),
    "an empty cell": ("g,h\n0,1\n,2\n", "data.csv:3: column 'g' is empty"),
    "NaN": ("g\n0\nnan\n", "data.csv:3", "'nan'"),
    "infinite": ("g\n0\ninf\n", "data.csv:3", "'inf'"),
    "a thousands separator": ('g\n0\n"1,000"\n', "data.csv:3", "thousands"),
    "a missing column": ("h,gg\n0,1\n", "no column 'g'", "Did you mean 'gg'"),
    "a short row": ("g,h\n0,1\n2\n", "data.csv:3: 1 cells, but the header names 2"),
    "semicolons": ("g;h\n0;1,5\n", "data.csv:2", "separated by commas"),
    "a column twice": ("g,g\n0,1\n", "two columns are named 'g'"),
    "an open quote": ('g\n"0\n1\n', "not CSV", "truncated"),
    "nothing": ("", "data.csv is empty"),
    "too few rows": ("g\n0\n", "a.yaml:3: game", "1 row"),
    "no rows": ("g\n", "a.yaml:3: game"),
}


@pytest.mark.parametrize(("cells", "words"), [(one[0], one[1:]) for one in CELLS.values()], ids=CELLS)
def test_csv(cells, words, tmp_path):
    (tmp_path / "data.csv").write_text(cells)
    (tmp_path / "a.yaml").write_text(GAME.replace("contribution: [0, 1]", "contribution: {csv: data.csv, column: g}"))
    assert isinstance(
        refused(tmp_path / "a.yaml", "a.yaml:3", "data.csv" if "a.yaml:3: game" not in words else "game", *words), InvalidModelFile
    )


def npz(tmp_path, name="g", **arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    return npz_file(tmp_path, name)


def npz_file(tmp_path, name="g"):
    (tmp_path / "a.yaml").write_text(GAME.replace("contribution: [0, 1]", f"contribution: {{npz: data.npz, key: {name}}}"))
    return tmp_path / "a.yaml"


def test_npz_without_the_key(tmp_path):
    refused(npz(tmp_path, "contribution", contributions=[0, 1]), "a.yaml:3: game.contribution", "Did you mean 'contributions'")


def test_npz_with_pickled_objects_is_not_loaded(tmp_path):
    refused(npz(tmp_path, g=np.array([0, {}], dtype=object)), "data.npz: array 'g' holds Python objects")


def test_npz_of_text(tmp_path):
    refused(npz(tmp_path, g=np.array(["a", "b"])), "holds <U1 values, not numbers")


def test_npz_that_is_none(tmp_path):
    (tmp_path / "data.npz").write_text("hello")
    refused(npz_file(tmp_path), "data.npz is not an npz file")


def test_npz_truncated_or_damaged(tmp_path):
    path = npz(tmp_path, g=np.arange(5000.0))
    whole = (tmp_path / "data.npz").read_bytes()
    (tmp_path / "data.npz").write_bytes(whole[: len(whole) // 2])
    refused(path, "truncated")
    (tmp_path / "data.npz").write_bytes(whole[:2000] + b"\xff" * 100 + whole[2100:])
    refused(path, "damaged")


def test_zip_that_holds_no_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("g", "hello")
    refused(npz_file(tmp_path), "'g' is not a numpy array")


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("congstion", UnknownName, ["unknown model 'congstion'", "Did you mean 'congestion'"]),
        ("nowhere/mine.yaml", FileTrouble, ["no model file nowhere/mine.yaml", "no folder nowhere"]),
        (".", FileTrouble, ["is a folder"]),
    ],
)
def test_models_that_are_not_there(name, error, words):
    assert isinstance(refused(name, *words), error)


def test_a_misspelt_path_names_its_neighbour(tmp_path):
    (tmp_path / "mine.yaml").write_text(GAME)
    refused(tmp_path / "mime.yaml", f"Did you mean {tmp_path / 'mine.yaml'}")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("game.playrs", "3", r"with --set: unknown key game\.playrs"),
        ("game.players", "few", r"with --set: game\.players is 'few'"),
        ("name.first", "x", r"--set name\.first: name is 'congestion'"),
        ("game.players", "[1", r"'\[1' is not a YAML value"),
    ],
)
def test_changes(key, value, words):
    with pytest.raises(InvalidModelFile, match=words) as caught:
        read_model("congestion", {key: value})
    assert not re.search(r"yaml:\d", str(caught.value))
