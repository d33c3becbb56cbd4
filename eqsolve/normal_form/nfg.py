"""Gambit's `.nfg` files, read and written without Gambit: the version with outcomes and the one with payoffs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite, prod
from pathlib import Path

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.errors import InvalidGame
from eqsolve.files import read_bytes, write_text
from eqsolve.normal_form.game import NormalFormGame, check_size

TOKEN = re.compile(r'\s+|(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[{},])|(?P<word>[^\s{},"]+)')
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(/[1-9]\d*)?")


def read_nfg(path: str | Path) -> NormalFormGame:
    """Read a `.nfg` file.

    Raises
    ------
    FileTrouble : the file is not there or cannot be read.
    InvalidGame : it is not a `.nfg` file; the message names the file, the line and what stands there.
    """
    where = Path(path)
    try:
        text = read_bytes(where, "game").decode("utf-8")
    except UnicodeDecodeError as cause:
        raise InvalidGame(f"{where}: byte {cause.start} is not UTF-8 text") from cause
    return parse_nfg(text, source=str(where))


def parse_nfg(text: str, *, source: str = "text") -> NormalFormGame:
    """The game in the text of a `.nfg` file; rationals such as ``1/3`` become the nearest float.

    Raises
    ------
    InvalidGame : as ``read_nfg``.

    Examples
    --------
    >>> parse_nfg('NFG 1 R "split" { "ann" "bob" } { 2 2 } 1 1 0 2 2 0 1/2 1/2').payoff([1, 1])
    array([0.5, 0.5])
    """
    if not isinstance(text, str):
        raise InvalidGame(f"{source} is a {type(text).__name__}, not text")
    reader = _Reader(text, source)
    reader.word("NFG")
    reader.word("1")
    if reader.take() not in ("R", "D"):
        reader.fail("expected R or D, the kind of numbers")
    title = reader.text()
    players = tuple(reader.texts())
    if not players:
        reader.fail("there are no players")
    shape, actions = _strategies(reader, len(players))
    if reader.peek().startswith('"'):
        reader.text()
    try:
        check_size(shape)
    except InvalidGame as cause:
        reader.fail(cause.what)
    flat = _outcomes(reader, len(players), shape) if reader.peek() == "{" else reader.numbers(len(players) * prod(shape), "payoffs")
    reader.end()
    # The file runs through the players first, then through the profiles with the first player's strategy changing fastest.
    table = flat.reshape((len(players), *shape), order="F")
    names = players if len(set(players)) == len(players) and all(players) else ()
    return NormalFormGame(np.ascontiguousarray(table), players=names, actions=actions, name=title or "normal-form game")


def nfg_text(game: NormalFormGame) -> str:
    """The game as the text of a `.nfg` file, payoff version; numbers are written so that they are read back bit for bit."""
    players = " ".join(_quoted(game.players[i] if game.players else str(i + 1)) for i in range(game.n_players))
    labels = [[game.action_label(i, a) for a in range(game.shape[i])] for i in range(game.n_players)]
    strategies = "\n".join(f"{{ {' '.join(map(_quoted, one))} }}" for one in labels)
    rows = np.asarray(game.payoffs).reshape(game.n_players, -1, order="F").T.tolist()
    body = "\n".join(" ".join(_number(value) for value in row) for row in rows)
    return f'NFG 1 R {_quoted(game.name)} {{ {players} }}\n\n{{ {strategies}\n}}\n""\n\n{body}\n'


def write_nfg(game: NormalFormGame, path: str | Path) -> Path:
    """Write a `.nfg` file, whole or not at all.

    Raises
    ------
    FileTrouble : the folder is not there or cannot be written.
    """
    return write_text(Path(path), nfg_text(game))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and 0 < abs(value) < 1e15 else repr(value)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int


class _Reader:
    """Tokens one by one, with the line where each stands."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.tokens = list(self._split(text))
        self.at = 0

    def _split(self, text: str) -> Iterator[_Token]:
        position, line = 0, 1
        while position < len(text):
            found = TOKEN.match(text, position)
            if found is None:
                raise InvalidGame(f"{self.source}, line {line}: a string that does not end", 'Close it with ".')
            if found.lastgroup is not None:
                yield _Token(found.group(), line)
            line += found.group().count("\n")
            position = found.end()

    def peek(self) -> str:
        return self.tokens[self.at].text if self.at < len(self.tokens) else ""

    def take(self) -> str:
        if self.at >= len(self.tokens):
            last = self.tokens[-1].line if self.tokens else 1
            raise InvalidGame(
                f"{self.source}, line {last}: the file ends too early", "Compare it with Gambit's format of .nfg files."
            )
        self.at += 1
        return self.tokens[self.at - 1].text

    def fail(self, why: str) -> None:
        here = self.tokens[max(0, self.at - 1)]
        raise InvalidGame(f"{self.source}, line {here.line}: {why}; here stands {here.text[:60]}")

    def word(self, wanted: str) -> None:
        if self.take() != wanted:
            self.fail(f"expected {wanted}")

    def text(self) -> str:
        token = self.take()
        if not token.startswith('"'):
            self.fail("expected a string in double quotes")
        return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)

    def texts(self) -> Iterator[str]:
        self.word("{")
        while self.peek() != "}":
            yield self.text()
        self.take()

    def number(self) -> float:
        token = self.take()
        value = float("nan")
        if NUMBER.fullmatch(token):
            try:
                value = float(Fraction(token)) if "/" in token and "." not in token and "e" not in token.lower() else float(token)
            except (OverflowError, ValueError):
                value = float("nan")
        if not isfinite(value):
            self.fail("expected a finite number")
        return value

    def numbers(self, count: int, what: str) -> FloatArray:
        values = np.empty(count)
        for k in range(count):
            if self.at >= len(self.tokens):
                self.at = len(self.tokens)
                self.fail(f"the file ends after {k} of {count} {what}")
            values[k] = self.number()
        return values

    def end(self) -> None:
        if self.at < len(self.tokens):
            self.at += 1
            self.fail("the game is complete before this")


def _strategies(reader: _Reader, n: int) -> tuple[tuple[int, ...], tuple[tuple[str, ...], ...]]:
    """Numbers of strategies and, where the file names them all differently, their labels."""
    reader.word("{")
    if reader.peek() == "{":
        labels = []
        while reader.peek() == "{":
            labels.append(tuple(reader.texts()))
            if not labels[-1]:
                reader.fail(f"player {len(labels) - 1} has no strategy")
        reader.word("}")
        shape = tuple(map(len, labels))
        clear = all(len(set(one)) == len(one) and all(one) for one in labels)
    else:
        labels, clear, sides = [], False, []
        while reader.peek() != "}":
            count = reader.number()
            if count < 1 or not count.is_integer():
                reader.fail("expected a number of strategies")
            sides.append(int(count))
        reader.take()
        shape = tuple(sides)
    if len(shape) != n:
        reader.fail(f"{len(shape)} lists of strategies for {n} players")
    return shape, tuple(labels) if clear else ()


def _outcomes(reader: _Reader, n: int, shape: tuple[int, ...]) -> FloatArray:
    """Payoffs in file order from a list of outcomes and one outcome number per profile, 0 being the outcome of payoff 0."""
    reader.word("{")
    table = [[0.0] * n]
    while reader.peek() == "{":
        reader.take()
        reader.text()
        row = []
        while reader.peek() != "}":
            if reader.peek() == ",":
                reader.take()
                continue
            row.append(reader.number())
        reader.take()
        if len(row) != n:
            reader.fail(f"outcome {len(table)} has {len(row)} payoffs for {n} players")
        table.append(row)
    reader.word("}")
    numbers = reader.numbers(prod(shape), "outcome numbers")
    wrong = (numbers < 0) | (numbers >= len(table)) | (numbers != np.floor(numbers))
    if wrong.any():
        k = int(np.argmax(wrong))
        reader.at -= len(numbers) - 1 - k
        reader.fail(f"there are {len(table) - 1} outcomes")
    return np.asarray(table)[numbers.astype(np.int64)].reshape(-1)
