"""CPLEX LP files, in."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from eqsolve.errors import InvalidProgram
from eqsolve.programs.names import CONSTANT, RANGE
from eqsolve.programs.parsed import Parsed, bad_line, finite

SECTIONS = {
    "max": r"max(imi[sz]e|imum)?",
    "min": r"min(imi[sz]e|imum)?",
    "rows": r"subject\s+to|such\s+that|s\.t\.|st\.?",
    "bounds": r"bounds?",
    "integer": r"generals?|gen|gin|integers?|int",
    "binary": r"binar(?:y|ies)|bin",
    "end": r"end",
    "other": r"semi-continuous|semis?|sos\d?|lazy\s+constraints|user\s+cuts|general\s+constraints|pwlobj|scenarios?"
    r"|multi-objectives",
}
NAME = r"[A-Za-z_!\"#$%&(),;?@'`{}~|\u0080-\uffff][\w!\"#$%&(),;.?@'`{}~|]*(?:\[[^\[\]\s]*\][\w.]*)*"
TOKEN = re.compile(rf"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|{NAME}|<=|=<|>=|=>|->|\S")
NAME_START = frozenset("_!\"#$%&(),;?@'`{}~|")
HEADER = re.compile("|".join(f"(?P<{key}>{words})" for key, words in SECTIONS.items() if key != "other"), re.IGNORECASE)
OTHER = re.compile(SECTIONS["other"], re.IGNORECASE)
RELATIONS = {"<=": "<=", "=<": "<=", "<": "<=", ">=": ">=", "=>": ">=", ">": ">=", "=": "="}

Tokens = tuple[list[str], list[int]]
Terms = list[tuple[float, str]]


def parse_lp(path: Path, text: str) -> Parsed:
    """Read an LP file: linear rows, linear or quadratic objective, bounds, general and binary columns.

    Columns stand in the order of their first appearance.

    Raises
    ------
    InvalidProgram : something that the format or this library does not have, no ``End``; the message names the line.
    """
    reader = _LpReader(path, Parsed(path))
    for section, tokens in _sections(path, text):
        if section == "other" and tokens[0]:
            raise bad_line(path, tokens[1][0], "the section is beyond a linear or quadratic program", "Remove the section.")
        if section != "other":
            reader.read(section, tokens)
    _fold_constant(reader.parsed)
    _fold_ranges(reader.parsed)
    return reader.parsed


def _sections(path: Path, text: str) -> list[tuple[str, Tokens]]:
    """The tokens of every section and their lines, in the order of the file."""
    found: list[tuple[str, Tokens]] = []
    number = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("\\")[0].strip()
        if not line:
            continue
        section, rest = _header(line)
        if section == "end":
            return found
        if section:
            found.append((section, ([], [])))
            line = rest
        elif not found:
            raise bad_line(path, number, f"{line[:40]!r} stands before 'Minimize' or 'Maximize'", "Is it an LP file?")
        words = TOKEN.findall(line)
        found[-1][1][0].extend(words)
        found[-1][1][1].extend([number] * len(words))
    raise bad_line(path, number, "the file ends without End", "It is truncated; write it again.")


def _header(line: str) -> tuple[str, str]:
    """The section that a line opens and what follows on it; an empty section where it opens none."""
    if not line[0].isalpha():
        return "", line
    for pattern in (OTHER, HEADER):
        match = pattern.match(line)
        if match and re.match(r"$|\s+(?![:<>=+\-*^])|:?$", line[match.end() :]):
            key = "other" if pattern is OTHER else str(match.lastgroup)
            rest = line[match.end() :].strip()
            if pattern is HEADER or not rest or key != "other":
                return key, rest
    return "", line


class _LpReader:
    """One pass over the tokens of a section with a place in them."""

    def __init__(self, path: Path, parsed: Parsed) -> None:
        self.path = path
        self.parsed = parsed
        self.words: list[str] = [""]
        self.lines: list[int] = []
        self.at = 0

    def read(self, section: str, tokens: Tokens) -> None:
        self.words, self.lines = [*tokens[0], ""], tokens[1]
        self.at = 0
        if section in ("min", "max"):
            self.parsed.sense = "max" if section == "max" else "min"
            self.objective()
            return
        one = {"rows": self.row, "bounds": self.bound, "integer": self.integer, "binary": self.binary}[section]
        while self.words[self.at]:
            one()

    def error(self, what: str, remedy: str = "") -> InvalidProgram:
        line = self.lines[min(self.at, len(self.lines) - 1)] if self.lines else 0
        return bad_line(self.path, line, what, remedy)

    def peek(self, ahead: int = 0) -> str:
        """The text of a coming token; empty at the end."""
        return self.words[self.at + ahead] if self.at + ahead < len(self.words) else ""

    def kind(self) -> str:
        """Of the coming token: number, name, sign, or empty at the end."""
        word = self.words[self.at]
        if not word:
            return ""
        if word[0].isdigit() or (word[0] == "." and len(word) > 1):
            return "number"
        return "name" if word[0].isalpha() or word[0] in NAME_START or word[0] >= "\x80" else "sign"

    def take(self) -> str:
        if not self.words[self.at]:
            raise self.error("the section ends in the middle of an expression", "The file is truncated or was edited.")
        self.at += 1
        return self.words[self.at - 1]

    def label(self, default: str) -> str:
        if self.kind() == "name" and self.peek(1) == ":":
            self.at += 2
            return self.peek(-2)
        return default

    def sign(self) -> float | None:
        """The product of the signs that come, None where there is none."""
        sign = None
        while (word := self.words[self.at]) in ("+", "-"):
            sign = (1.0 if sign is None else sign) * (-1.0 if word == "-" else 1.0)
            self.at += 1
        return sign

    def coefficient(self) -> float | None:
        """A number, or an infinity by its name; None where none comes."""
        kind, word = self.kind(), self.words[self.at]
        if kind == "number":
            self.at += 1
            return float(word)
        if kind == "name" and word.lower() in ("inf", "infinity"):
            self.at += 1
            return np.inf
        return None

    def expression(self) -> tuple[Terms, float]:
        """Terms and constant up to what is neither; a further term needs its sign."""
        terms: Terms = []
        constant, first = 0.0, True
        while True:
            start = self.at
            sign = self.sign()
            if (sign is None and not first) or self.words[self.at] == "[":
                self.at = start
                return terms, constant
            number = self.coefficient()
            if self.words[self.at] == "*" and number is not None:
                self.at += 1
            value = (1.0 if sign is None else sign) * (1.0 if number is None else number)
            if self.kind() == "name" and self.words[self.at + 1] != ":":
                terms.append((value, self.words[self.at]))
                self.at += 1
            elif number is not None:
                constant += value
            elif sign is not None or not first:
                raise self.error(f"{self.peek() or 'the end'!r} where a term is expected")
            else:
                return terms, constant
            first = False

    def objective(self) -> None:
        self.label("obj")
        while self.words[self.at]:
            before = self.at
            terms, constant = self.expression()
            self.parsed.offset += constant
            for value, name in terms:
                self.parsed.c[self.parsed.column(name)] += value
            start = self.at
            sign = self.sign()
            if self.peek() == "[":
                self.square(1.0 if sign is None else sign)
            else:
                self.at = start
            if self.at == before:
                raise self.error(f"{self.peek()!r} is not expected in the objective")

    def square(self, sign: float) -> None:
        """``[ 2 x ^ 2 + 4 x * y ] / 2``; without ``/ 2`` the entries of Q are twice as large."""
        self.take()
        found: list[tuple[float, str, str]] = []
        while self.peek() != "]":
            one = self.sign()
            if one is None and found:
                raise self.error(f"{self.peek()!r} where '+', '-' or ']' is expected")
            number = self.coefficient()
            value = (1.0 if one is None else one) * (1.0 if number is None else number)
            left = self.take()
            operator = self.take()
            right = self.take()
            if operator == "^" and right in ("2", "2.0"):
                right = left
            elif operator != "*" or not (_is_name(left) and _is_name(right)):
                raise self.error(f"'{left} {operator} {right}' is neither a square nor a product")
            found.append((value, left, right))
        self.take()
        half = self.peek() == "/"
        if half:
            self.take()
            if self.take() not in ("2", "2.0"):
                raise self.error("a quadratic objective is divided by 2 or not at all")
        i_list, j_list, values = self.parsed.Q
        for value, left, right in found:
            i, j = self.parsed.column(left), self.parsed.column(right)
            entry = sign * value * (1.0 if half else 2.0)
            for at in ((i, j),) if i == j else ((i, j), (j, i)):
                i_list.append(at[0])
                j_list.append(at[1])
                values.append(entry if i == j else entry / 2)

    def relation(self) -> str:
        word = self.peek()
        if word not in RELATIONS:
            raise self.error(f"{word or 'the end'!r} where <=, >= or = is expected")
        return RELATIONS[self.take()]

    def constant(self) -> float:
        sign = self.sign()
        number = self.coefficient()
        if number is None:
            raise self.error(f"{self.peek() or 'the end'!r} where a number is expected", "Columns stand on the left of a row.")
        return finite((1.0 if sign is None else sign) * number)

    def row(self) -> None:
        name = self.label(f"R{len(self.parsed.row_lower) + 1}")
        if name in self.parsed.row_at:
            raise self.error(f"row {name!r} stands twice")
        empty = self.peek() in RELATIONS
        terms, constant = ([], 0.0) if empty else self.expression()
        if self.peek() == "[" or self.peek(1) == "[":
            raise self.error(f"row {name!r} is quadratic", "Rows are linear; use a second-order cone.")
        lower, upper = -np.inf, np.inf
        if not terms and not empty:
            low = finite(constant)
            lower, upper = _narrowed(lower, upper, _turned(self.relation()), low)
            terms, constant = self.expression()
            if not terms:
                raise self.error(f"row {name!r} has no columns")
        if self.peek() in RELATIONS:
            lower, upper = _narrowed(lower, upper, self.relation(), self.constant())
        elif np.isinf(lower) and np.isinf(upper):
            raise self.error(f"{self.peek() or 'the end'!r} where <=, >= or = is expected in row {name!r}")
        shift = constant if constant else 0.0
        i = self.parsed.row(name, lower - shift if shift else lower, upper - shift if shift else upper)
        summed: dict[int, float] = {}
        for value, column in terms:
            j = self.parsed.column(column)
            summed[j] = summed.get(j, 0.0) + value
        self.parsed.A[0].extend([i] * len(summed))
        self.parsed.A[1].extend(summed)
        self.parsed.A[2].extend(summed.values())

    def bound(self) -> None:
        lower, upper = -np.inf, np.inf
        given: list[tuple[str, float]] = []
        if self.kind() != "name" or self.peek().lower() in ("inf", "infinity"):
            value = self.constant()
            given.append((_turned(self.relation()), value))
        name = self.take()
        j = self.parsed.column(name)
        if self.peek().lower() == "free":
            self.take()
            self.parsed.col_lower[j], self.parsed.col_upper[j] = -np.inf, np.inf
            return
        if self.peek() in RELATIONS:
            given.append((self.relation(), self.constant()))
        if not given:
            raise self.error(f"column {name!r} without a bound")
        lower, upper = self.parsed.col_lower[j], self.parsed.col_upper[j]
        for relation, value in given:
            lower = value if relation in (">=", "=") else lower
            upper = value if relation in ("<=", "=") else upper
        self.parsed.col_lower[j], self.parsed.col_upper[j] = lower, upper

    def listed(self) -> int:
        if self.kind() != "name":
            raise self.error(f"{self.peek()!r} is not a column")
        j = self.parsed.column(self.take())
        self.parsed.integer[j] = True
        return j

    def integer(self) -> None:
        self.listed()

    def binary(self) -> None:
        j = self.listed()
        self.parsed.col_lower[j], self.parsed.col_upper[j] = 0.0, 1.0


def _is_name(word: str) -> bool:
    return re.fullmatch(NAME, word) is not None


def _turned(relation: str) -> str:
    return {"<=": ">=", ">=": "<=", "=": "="}[relation]


def _narrowed(lower: float, upper: float, relation: str, value: float) -> tuple[float, float]:
    return (value if relation in (">=", "=") else lower), (value if relation in ("<=", "=") else upper)


def _fold_constant(parsed: Parsed) -> None:
    """A column ``Constant`` fixed at 1 that stands in the objective only is the constant of the objective."""
    j = parsed.column_at.get(CONSTANT)
    if j is None or not parsed.col_lower[j] == parsed.col_upper[j] == 1.0 or j in parsed.A[1] or j in parsed.Q[0]:
        return
    parsed.offset += parsed.c[j]
    _without(parsed, {j})


def _fold_ranges(parsed: Parsed) -> None:
    """A continuous column ``Rg<row>`` that stands in that equality only, with coefficient -1, holds the row's two bounds."""
    candidates = {
        j: parsed.row_at[name.removeprefix(RANGE)]
        for name, j in parsed.column_at.items()
        if name.startswith(RANGE) and name.removeprefix(RANGE) in parsed.row_at
    }
    if not candidates:
        return
    uses: dict[int, list[tuple[int, float]]] = {j: [] for j in candidates}
    for i, j, value in zip(*parsed.A, strict=True):
        if j in uses:
            uses[j].append((i, value))
    squares = set(parsed.Q[0])
    gone: set[int] = set()
    for j, i in candidates.items():
        plain = not parsed.c[j] and not parsed.integer[j] and j not in squares and uses[j] == [(i, -1.0)]
        if plain and parsed.row_lower[i] == parsed.row_upper[i] == 0.0:
            parsed.row_lower[i], parsed.row_upper[i] = parsed.col_lower[j], parsed.col_upper[j]
            gone.add(j)
    _without(parsed, gone)


def _without(parsed: Parsed, gone: set[int]) -> None:
    """Take columns out, with their entries."""
    if not gone:
        return
    kept = [j for j in range(len(parsed.c)) if j not in gone]
    place = {j: k for k, j in enumerate(kept)}
    parsed.column_at = {name: place[j] for name, j in parsed.column_at.items() if j in place}
    parsed.c = [parsed.c[j] for j in kept]
    parsed.col_lower = [parsed.col_lower[j] for j in kept]
    parsed.col_upper = [parsed.col_upper[j] for j in kept]
    parsed.integer = [parsed.integer[j] for j in kept]
    entries = [(i, place[j], value) for i, j, value in zip(*parsed.A, strict=True) if j in place]
    parsed.A = ([one[0] for one in entries], [one[1] for one in entries], [one[2] for one in entries])
    parsed.Q = ([place[i] for i in parsed.Q[0]], [place[j] for j in parsed.Q[1]], parsed.Q[2])
