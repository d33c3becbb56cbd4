"""Blocks: names, positions and labels of columns and rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eqsolve.errors import InvalidProgram, UnknownName
from eqsolve.programs import Block
from eqsolve.programs.block import find_block, named_block

shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


@given(shapes, st.integers(0, 5))
def test_position_and_index_undo_each_other(shape, start):
    block = Block("p", tuple("abc"[: len(shape)]), start, shape)
    assert [block.position(*block.index(k)) for k in range(start, block.stop)] == list(range(start, block.stop))
    assert [block.index(k) for k in range(start, block.stop)] == list(np.ndindex(shape))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(0, 5))
def test_ragged_entries_go_player_by_player(counts, start):
    block = Block("p", ("player", "action"), start, None, np.array(counts))
    expected = [(k, j) for k, count in enumerate(counts) for j in range(count)]
    assert [block.index(k) for k in range(start, block.stop)] == expected
    assert [block.position(*index) for index in expected] == list(range(start, block.stop))


def test_names_and_labels():
    block = Block("p", ("player", "action"), 4, (2, 2), None, (None, ("road A", "road B")))
    assert block.header == "p[player, action]"
    assert block.extent == "2 x 2"
    assert block.entry(7) == "p[1, road B]"
    assert block.position(1, "road B") == block.position("1", 1) == 7
    assert Block("z", (), 3, ()).entry(3) == "z"
    assert Block("r", ("a", "b"), 0, None, np.array([2, 5, 3])).extent == "3 x 2..5"
    assert block.moved(0).slice == slice(0, 4)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ((1, "road C"), "action of p"),
        ((2, 0), "player 2 is not in"),
        ((0, -1), "action -1 is not in"),
        ((0,), "takes 2 indices, not 1"),
    ],
)
def test_a_wrong_index_is_refused(index, words):
    with pytest.raises(UnknownName, match=words):
        Block("p", ("player", "action"), 4, (2, 2), None, (None, ("road A", "road B"))).position(*index)


def test_the_nearest_label_is_named():
    with pytest.raises(UnknownName, match="Did you mean 'road A'"):
        Block("p", ("road",), 0, (1,), None, (("road A",),)).position("raod A")


@pytest.mark.parametrize(
    "arguments",
    [
        ("", (), 0, ()),
        ("p", ("a",), 0, (2, 2)),
        ("p", ("a",), 0, None, np.array([1])),
        ("p", ("a", "b"), 0, (1, 1), np.array([1])),
        ("p", ("a",), 0, (2,), None, (("one",),)),
        ("p", ("a",), 0),
    ],
)
def test_a_block_that_contradicts_itself_is_refused(arguments):
    with pytest.raises(InvalidProgram, match="block"):
        Block(*arguments)


def test_the_block_of_a_position_and_of_a_name():
    blocks = [Block("a", (), 0, ()), Block("empty", ("k",), 1, (0,)), Block("b", ("k",), 1, (2,))]
    assert [find_block(blocks, k).name for k in range(3)] == ["a", "b", "b"]
    for outside in (-1, 3):
        with pytest.raises(UnknownName, match=f"position {outside} is in none"):
            find_block(blocks, outside)
    with pytest.raises(UnknownName, match=r"unknown row block 'empti'[\s\S]*'empty'"):
        named_block(blocks, "empti", "row")
    with pytest.raises(UnknownName, match="not in block"):
        blocks[2].index(0)
