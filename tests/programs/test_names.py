"""Identifiers: what every solver's reader takes, and never two alike."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eqsolve.programs import Block
from eqsolve.programs.names import KEYWORDS, LONGEST, block_idents, entry_idents

words = st.text(min_size=1, max_size=40) | st.sampled_from(
    ["x", "x 1", "x_1", "x_1_v", "x.1", "e", "E1", "e_1", "12", "free", "Rg", "é"]
)


@given(st.lists(words, unique=True, max_size=12), st.sampled_from(["column", "row"]), st.data())
def test_identifiers_are_plain_short_and_distinct(names, kind, data):
    blocks, at = [], 0
    for name in names:
        shape = data.draw(st.sampled_from([(), (2,), (2, 2), (0,), (1, 1, 2), "ragged"]))
        counts = np.array([2, 0, 1]) if shape == "ragged" else None
        axes = tuple("abc"[: 2 if shape == "ragged" else len(shape)])
        blocks.append(Block(name, axes, at, None if shape == "ragged" else shape, counts))
        at = blocks[-1].stop
    idents = entry_idents(blocks, block_idents(blocks, kind))
    assert len(idents) == at
    assert len(set(idents)) == at
    for ident in idents:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", ident)
        assert not KEYWORDS.fullmatch(ident)
        assert not re.match(r"[eE]\d", ident)
        assert not ident.startswith("Rg")
        assert len(ident) <= LONGEST + 20


def test_idents_stay_readable():
    blocks = [Block("p", ("player", "action"), 0, (13, 1)), Block("one action", ("player",), 13, (1,)), Block("max", (), 14, ())]
    assert entry_idents(blocks, block_idents(blocks, "row"))[-3:] == ["p_12_0", "one_action_0", "r_max"]
