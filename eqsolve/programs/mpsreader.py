"""MPS files, in."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan
from pathlib import Path

import numpy as np

from eqsolve.programs.parsed import Parsed, bad_line, finite


def parse_mps(path: Path, text: str) -> Parsed:
    """Read an MPS file whose names hold no spaces.

    Further N rows are rows without bounds. As in other solvers, an integer column between markers without any bound lies in
    [0, 1], and a negative upper bound alone leaves the column without a lower one.

    Raises
    ------
    InvalidProgram : a line that is not understood, an unknown section or name, no ``ENDATA``; the message names the line.
    """
    return _MpsReader(path).read(text)


class _MpsReader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = 0
        self.parsed = Parsed(path)
        self.kinds: list[str] = []
        self.objective: str | None = None
        self.rhs: dict[int, float] = {}
        self.inside = False
        self.touched: set[int] = set()
        self.lowered: set[int] = set()
        self.sets: dict[str, str] = {}

    def error(self, what: str, remedy: str = "") -> Exception:
        return bad_line(self.path, self.line, what, remedy)

    def read(self, text: str) -> Parsed:
        section = ""
        handlers = {
            "OBJSENSE": self.sense,
            "ROWS": self.rows,
            "COLUMNS": self.columns,
            "RHS": self.right_hand_side,
            "RANGES": self.ranges,
            "BOUNDS": self.bounds,
            "QUADOBJ": self.triangle,
            "QMATRIX": self.square,
        }
        for self.line, raw in enumerate(text.splitlines(), 1):
            if not raw.strip() or raw.lstrip().startswith("*"):
                continue
            words = raw.split()
            if not raw[0].isspace():
                section = words[0].upper()
                if section == "ENDATA":
                    return self.finished()
                if section == "NAME":
                    self.parsed.name = " ".join(word for word in words[1:] if word.upper() != "FREE")
                elif section == "OBJSENSE":
                    self.sense(words[1:])
                elif section not in handlers:
                    raise self.error(f"section {section!r} is not one of {', '.join(handlers)}")
                continue
            if section not in handlers:
                raise self.error("a line outside of any section")
            handlers[section](words)
        raise self.error("the file ends without ENDATA", "It is truncated; write it again.")

    def number(self, word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            raise self.error(f"{word!r} is not a number") from None
        if isnan(value):
            raise self.error("NaN is not a number of a program")
        return value

    def sense(self, words: list[str]) -> None:
        if words:
            self.parsed.sense = "max" if words[0].upper().startswith("MAX") else "min"

    def rows(self, words: list[str]) -> None:
        if len(words) != 2 or words[0].upper() not in ("N", "E", "L", "G"):
            raise self.error(f"{' '.join(words)!r} is not a row: one of N, E, L, G and a name")
        kind, name = words[0].upper(), words[1]
        if name in self.parsed.row_at or name == self.objective:
            raise self.error(f"row {name!r} stands twice")
        if kind == "N" and self.objective is None:
            self.objective = name
            return
        self.kinds.append(kind)
        self.parsed.row(name, -np.inf, np.inf)

    def pairs(self, words: list[str]) -> Iterator[tuple[int | None, float]]:
        """Row and value, twice at most; None is the objective."""
        if len(words) not in (2, 4):
            raise self.error(f"{' '.join(words)!r} is not rows with their numbers")
        for k in range(0, len(words), 2):
            at = None if words[k] == self.objective else self.parsed.row_at.get(words[k], -1)
            if at == -1:
                raise self.error(f"row {words[k]!r} is not in ROWS")
            yield at, self.number(words[k + 1])

    def columns(self, words: list[str]) -> None:
        if len(words) >= 3 and words[1].strip("'\"").upper() == "MARKER":
            self.inside = words[2].strip("'\"").upper() == "INTORG"
            return
        if len(words) not in (3, 5):
            raise self.error(f"{' '.join(words)!r} is not a column, a row and a number")
        before = len(self.parsed.c)
        j = self.parsed.column(words[0])
        if j not in (before, before - 1):
            raise self.error(f"the entries of column {words[0]!r} do not stand together")
        self.parsed.integer[j] = self.inside
        i_list, j_list, values = self.parsed.A
        if len(words) == 3 and (one := self.parsed.row_at.get(words[1])) is not None:
            i_list.append(one)
            j_list.append(j)
            values.append(self.number(words[2]))
            return
        for i, value in self.pairs(words[1:]):
            if i is None:
                self.parsed.c[j] += value
            else:
                i_list.append(i)
                j_list.append(j)
                values.append(value)

    def in_set(self, section: str, words: list[str], bare: bool) -> list[str]:
        """The words without the name of the set; only one set is taken."""
        if bare or not words:
            return words
        if self.sets.setdefault(section, words[0]) != words[0]:
            raise self.error(f"a second set {words[0]!r} in {section}", "Keep one set in the file.")
        return words[1:]

    def right_hand_side(self, words: list[str]) -> None:
        for i, value in self.pairs(self.in_set("RHS", words, len(words) % 2 == 0)):
            if i is None:
                self.parsed.offset = -value
            else:
                self.rhs[i] = value

    def ranges(self, words: list[str]) -> None:
        for i, value in self.pairs(self.in_set("RANGES", words, len(words) % 2 == 0)):
            kind = "N" if i is None else self.kinds[i]
            if i is None or kind == "N":
                continue
            self.settle(i)
            if kind == "L" or (kind == "E" and value < 0):
                self.parsed.row_lower[i] = finite(self.parsed.row_upper[i] - abs(value))
            else:
                self.parsed.row_upper[i] = finite(self.parsed.row_lower[i] + abs(value))
            self.kinds[i] = "settled"

    def settle(self, i: int) -> None:
        """The bounds of a row by its letter and right-hand side."""
        kind, value = self.kinds[i], finite(self.rhs.get(i, 0.0))
        if kind in "EG":
            self.parsed.row_lower[i] = value
        if kind in "EL":
            self.parsed.row_upper[i] = value

    def bounds(self, words: list[str]) -> None:
        kind = words[0].upper()
        bare = kind in ("FR", "MI", "PL", "BV")
        if kind not in ("FR", "MI", "PL", "BV", "LO", "UP", "FX", "LI", "UI"):
            raise self.error(f"bound {kind!r} is not one of FR, MI, PL, BV, LO, UP, FX, LI, UI")
        rest = words[1:]
        if bare and len(rest) == 3:
            rest = rest[:2]
        rest = self.in_set("BOUNDS", rest, len(rest) == (1 if bare else 2))
        if len(rest) != (1 if bare else 2) or rest[0] not in self.parsed.column_at:
            raise self.error(f"{' '.join(words)!r} is not a bound of a column in COLUMNS")
        j = self.parsed.column_at[rest[0]]
        value = 0.0 if bare else finite(self.number(rest[1]))
        lower, upper = self.parsed.col_lower, self.parsed.col_upper
        self.touched.add(j)
        if kind in ("LI", "UI", "BV"):
            self.parsed.integer[j] = True
        if kind in ("FR", "MI"):
            lower[j] = -np.inf
        if kind in ("FR", "PL"):
            upper[j] = np.inf
        if kind in ("LO", "FX", "LI"):
            lower[j] = value
        if kind in ("UP", "FX", "UI"):
            upper[j] = value
        if kind == "BV":
            lower[j], upper[j] = 0.0, 1.0
        if kind in ("FR", "MI", "LO", "FX", "LI", "BV"):
            self.lowered.add(j)

    def quadratic(self, words: list[str]) -> tuple[int, int, float]:
        if len(words) != 3 or any(word not in self.parsed.column_at for word in words[:2]):
            raise self.error(f"{' '.join(words)!r} is not two columns and a number")
        return self.parsed.column_at[words[0]], self.parsed.column_at[words[1]], self.number(words[2])

    def square(self, words: list[str]) -> None:
        i, j, value = self.quadratic(words)
        i_list, j_list, values = self.parsed.Q
        i_list.append(i)
        j_list.append(j)
        values.append(value)

    def triangle(self, words: list[str]) -> None:
        self.square(words)
        if words[0] != words[1]:
            self.square([words[1], words[0], words[2]])

    def finished(self) -> Parsed:
        if self.objective is None:
            raise self.error("there is no N row, so no objective")
        for i, kind in enumerate(self.kinds):
            if kind not in ("N", "settled"):
                self.settle(i)
        for j, integer in enumerate(self.parsed.integer):
            if integer and j not in self.touched:
                self.parsed.col_upper[j] = 1.0
            if self.parsed.col_upper[j] < 0 and j not in self.lowered:
                self.parsed.col_lower[j] = -np.inf
        return self.parsed
