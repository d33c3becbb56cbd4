"""Names that every solver's file reader takes, and the way back: `p[player 12, road A]` is written `p_12_0`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from eqsolve.programs.block import Block

LONGEST = 32
"""Characters of a block's identifier; the indices come on top, so that no identifier reaches the 255 of the LP format."""

OBJECTIVE = "obj"
CONSTANT = "Constant"
RANGE = "Rg"

KEYWORDS = re.compile(
    r"free|inf|infinity|nan|st?|t|subject|such|to|that|bounds?|generals?|gen|gin|integers?|int|binary|binaries|bin|end"
    r"|(min|max)(imum|imi[sz]e)?|sos\d?|semis?|sin|sec|semicontinuous|lazy|user|cuts|constraints|pwlobj|obj|constant"
    r"|name|rows|columns|rhs|ranges|endata|marker|objsens|objsense|qmatrix|quadobj|scenarios?",
    re.IGNORECASE,
)


def block_idents(blocks: Sequence[Block], kind: Literal["column", "row"]) -> tuple[str, ...]:
    """One identifier per block: letters, digits and underscores, short, distinct, no keyword and nothing like a number.

    The entry [i, j] of a block is written ``<identifier>_i_j``. No identifier ends in an underscore and digits, so the
    entries of two blocks never meet.

    Examples
    --------
    >>> block_idents([Block("x y", (), 0, ()), Block("x_y", (), 1, ()), Block("free", ("j",), 2, (3,))], "column")
    ('x_y', 'x_y_v1', 'x_free')
    """
    taken: set[str] = set()
    found: list[str] = []
    for block in blocks:
        ident = _plain(block.name, "x_" if kind == "column" else "r_")
        base, k = ident, 0
        while ident in taken:
            k += 1
            ident = f"{base}_v{k}"
        taken.add(ident)
        found.append(ident)
    return tuple(found)


def entry_idents(blocks: Iterable[Block], idents: Iterable[str]) -> list[str]:
    """The identifier of every column (or row), in order."""
    return [name for block, ident in zip(blocks, idents, strict=True) for name in _entries(block, ident)]


def _entries(block: Block, ident: str) -> list[str]:
    if block.counts is not None:
        return [f"{ident}_{k}_{j}" for k, count in enumerate(block.counts.tolist()) for j in range(count)]
    names = [ident]
    for side in block.shape or ():
        digits = [f"_{k}" for k in range(side)]
        names = [name + digit for name in names for digit in digits]
    return names


def _plain(name: str, prefix: str) -> str:
    ident = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:LONGEST].strip("_")
    number_like = re.match(r"\d|[eE](\d|_|$)|$", ident)
    if number_like or KEYWORDS.fullmatch(ident) or ident.startswith(RANGE):
        ident = prefix + ident if ident else prefix.strip("_")
    return f"{ident}v" if re.search(r"_\d+$", ident) else ident
