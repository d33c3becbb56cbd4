"""Programs written and read back: every number, name and block, through every format."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from eqsolve.errors import FileTrouble, InvalidProgram, UnknownName
from eqsolve.programs import Block, Cone, Program, ProgramBuilder
from eqsolve.programs.mpsfile import exact_range, inexact_ranges

FILES = (".lp", ".mps")
BUNDLES = (".npz", ".json")

numbers = st.floats(-1e19, 1e19, allow_nan=False) | st.sampled_from(
    [0.1, 1 / 3, 5e-324, -1e-10, 1e15, 3.0, -0.5, 0.30000000000000004]
)
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12) | st.sampled_from(
    ["free", "st", "inf", "e12", "12", "x_1", "x", "x 1", "Rgx", "obj", "größe", "a" * 300, "Constant", "road A", "_", "E", "end"]
)


@st.composite
def blocks(draw, size, kind):
    """Blocks that name ``size`` entries: rectangular, ragged, single, empty."""
    found, at = [], 0
    names = draw(st.lists(words, min_size=size + 1, max_size=size + 1, unique=True))
    while at < size or not found:
        left = size - at
        form = draw(st.sampled_from(["flat", "single", "ragged", "grid", "empty"]))
        name = names[len(found)] if len(found) < size else f"{kind} rest"
        if len(found) >= size or form == "flat" or left == 0:
            count = left
            labels = (tuple(draw(st.lists(words, min_size=count, max_size=count))),) if draw(st.booleans()) else ()
            block = Block(name, ("entry",), at, (count,), None, labels)
        elif form == "single":
            block = Block(name, (), at, ())
        elif form == "grid":
            block = Block(name, ("player", "road A"), at, (1, left))
        elif form == "empty":
            block = Block(name, ("none",), at, (0,))
        else:
            first = draw(st.integers(0, left))
            block = Block(name, ("player", "action"), at, None, np.asarray([first, 0, left - first]))
        found.append(block)
        at = block.stop
    return tuple(found)


@st.composite
def bounds(draw, n):
    lower = draw(st.lists(numbers | st.just(0.0) | st.just(-np.inf), min_size=n, max_size=n))
    upper = [draw(st.just(low if np.isfinite(low) else 1.5) | st.just(np.inf) | numbers) for low in lower]
    pairs = [sorted(pair) for pair in zip(lower, upper, strict=True)]
    return np.array([low for low, _ in pairs]), np.array([high for _, high in pairs])


@st.composite
def programs(draw, cones=False):
    n, m = draw(st.integers(1, 5)), draw(st.integers(0, 5))
    entries = st.lists(numbers | st.just(0.0), min_size=m * n, max_size=m * n)
    A = np.array(draw(entries)).reshape(m, n)
    sense = draw(st.sampled_from(["min", "max"]))
    Q = None
    if draw(st.booleans()):
        factor = np.array(draw(st.lists(st.floats(-9, 9), min_size=n * n, max_size=n * n))).reshape(n, n)
        Q = sparse.csc_array(factor @ factor.T * (1 if sense == "min" else -1))
    (row_lower, row_upper), (col_lower, col_upper) = draw(bounds(m)), draw(bounds(n))
    inside = ()
    if cones and m >= 3:
        row_lower[:3], row_upper[:3] = -np.inf, np.inf
        inside = (Cone(draw(st.sampled_from(["soc", "rsoc", "exp"])), np.array([2, 0, 1]), np.array([0.1, -1e-300, 7.0])),)
    return Program(
        name=draw(words),
        sense=sense,
        c=np.array(draw(st.lists(numbers | st.just(0.0), min_size=n, max_size=n))),
        A=sparse.csc_array(A),
        row_lower=row_lower,
        row_upper=row_upper,
        col_lower=col_lower,
        col_upper=col_upper,
        Q=Q,
        offset=draw(numbers | st.just(0.0)),
        integrality=np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))) if draw(st.booleans()) else None,
        cones=inside,
        columns=draw(blocks(n, "column")),
        rows=draw(blocks(m, "row")),
        note=draw(st.sampled_from(["", "step 4, cell 217\nof 1681", "größer"])),
    )


def assert_same(one, other):
    """The same program to the last bit of every number, and by every name."""
    assert (one.name, one.note, one.sense, one.offset, one.kind) == (other.name, other.note, other.sense, other.offset, other.kind)
    for part in ("c", "row_lower", "row_upper", "col_lower", "col_upper"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part), err_msg=part)
    assert one.A.shape == other.A.shape
    assert np.array_equal(one.A.toarray(), other.A.toarray())
    assert (one.Q is None) == (other.Q is None)
    assert one.Q is None or np.array_equal(one.Q.toarray(), other.Q.toarray())
    assert (one.integrality is None) == (other.integrality is None)
    assert one.integrality is None or np.array_equal(one.integrality, other.integrality)
    assert len(one.cones) == len(other.cones)
    for cone, again in zip(one.cones, other.cones, strict=True):
        assert cone.kind == again.kind
        np.testing.assert_array_equal(cone.rows, again.rows)
        np.testing.assert_array_equal(cone.shift, again.shift)
    for blocks_one, blocks_other in ((one.columns, other.columns), (one.rows, other.rows)):
        for block, again in zip(blocks_one, blocks_other, strict=True):
            assert (block.name, block.axes, block.start, block.shape, block.labels) == (
                again.name,
                again.axes,
                again.start,
                again.shape,
                again.labels,
            )
            assert (block.counts is None) == (again.counts is None)
            assert block.counts is None or np.array_equal(block.counts, again.counts)


@settings(deadline=None, max_examples=150)
@given(programs(), st.sampled_from(FILES))
def test_files_give_the_same_program_back(program, suffix):
    with TemporaryDirectory() as folder:
        assert_same(program, Program.read(program.write(Path(folder) / f"p{suffix}")))


@settings(deadline=None, max_examples=80)
@given(programs(cones=True), st.sampled_from(BUNDLES))
def test_bundles_give_the_same_program_back(program, suffix):
    with TemporaryDirectory() as folder:
        path = program.write(Path(folder) / f"p{suffix}")
        assert_same(program, Program.read(path))
        again = Program.read(path).write(Path(folder) / f"q{suffix}")
        assert again.read_bytes() == path.read_bytes()


@settings(deadline=None, max_examples=80)
@given(programs(), st.sampled_from(FILES))
def test_the_file_alone_is_the_same_program_under_plain_names(program, suffix):
    with TemporaryDirectory() as folder:
        path = program.write(Path(folder) / f"p{suffix}")
        path.with_name(f"p{suffix}.names.json").unlink()
        alone = Program.read(path)
    assert alone.sense == program.sense
    assert alone.offset == program.offset
    assert alone.kind == program.kind
    # An LP file lists columns by first appearance: compare what does not depend on their order.
    order = np.lexsort((program.col_upper, program.col_lower, program.c))
    other = np.lexsort((alone.col_upper, alone.col_lower, alone.c))
    for part in ("c", "col_lower", "col_upper"):
        np.testing.assert_array_equal(getattr(program, part)[order], getattr(alone, part)[other])
    np.testing.assert_array_equal(program.row_lower, alone.row_lower)
    if not inexact_ranges(program, [str(i) for i in range(program.n_rows)]) or suffix == ".lp":
        np.testing.assert_array_equal(program.row_upper, alone.row_upper)
    np.testing.assert_array_equal(np.sort(program.A.toarray(), axis=1), np.sort(alone.A.toarray(), axis=1))


@given(numbers, numbers)
def test_a_range_said_to_be_exact_is(a, b):
    low, high = min(a, b), max(a, b)
    kind, width, exact = exact_range(low, high)
    back = low + width if kind == "G" else high - width
    assert exact == (back == (high if kind == "G" else low))


def test_a_range_that_no_width_joins_survives_through_the_name_map(tmp_path):
    low, high = -(1 - 2.0**-53), 1 + 2.0**-52
    assert not exact_range(low, high)[2]
    b = ProgramBuilder("range")
    b.add(b.rows("r", lower=low, upper=high), b.columns("x"), [0], [0])
    assert Program.read(b.build().write(tmp_path / "r.mps")).row_upper[0] == high


def small(name="small"):
    b = ProgramBuilder(name, "max")
    x = b.columns("p", (2, 2), axes=("player", "road"), labels=(("player 12", "player 13"), ("road A", "road B")), upper=1.0)
    one = b.rows("one action", (2,), axes=("player",), lower=1.0, upper=1.0)
    b.add(one, x, [0, 0, 1, 1], [0, 1, 2, 3])
    b.objective(x, [1.0, 2.0, 3.0, 2.5])
    return b.build(offset=-1.25, note="cell 3")


@pytest.mark.parametrize("suffix", FILES)
def test_identifiers_are_readable(tmp_path, suffix):
    text = small().write(tmp_path / f"s{suffix}").read_text()
    assert "p_1_0" in text
    assert "one_action_1" in text
    names = json.loads((tmp_path / f"s{suffix}.names.json").read_text())
    assert names["columns"][0]["ident"] == "p"
    assert names["columns"][0]["labels"][0] == ["player 12", "player 13"]


def test_the_library_writes_the_same_bytes_twice(tmp_path):
    for suffix in (*FILES, *BUNDLES):
        first, second = small().write(tmp_path / f"a{suffix}"), small().write(tmp_path / f"b{suffix}")
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("suffix", FILES)
def test_a_changed_file_is_refused_with_its_old_name_map_and_read_without(tmp_path, suffix):
    path = small().write(tmp_path / f"s{suffix}")
    path.write_text(path.read_text().replace("2.5", "2.75"))
    with pytest.raises(InvalidProgram, match=r"names\.json was written for[\s\S]*Delete"):
        Program.read(path)
    (tmp_path / f"s{suffix}.names.json").unlink()
    assert sorted(Program.read(path).c) == [1.0, 2.0, 2.75, 3.0]


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"format": "eqsolve program names", "version": 1}', '{"format"', '{"format": "x"}']
)
def test_a_damaged_name_map_is_refused(tmp_path, content):
    path = small().write(tmp_path / "s.lp")
    (tmp_path / "s.lp.names.json").write_text(content)
    with pytest.raises(InvalidProgram, match=r"s\.lp\.names\.json"):
        Program.read(path)


@pytest.mark.parametrize("suffix", [*FILES, *BUNDLES])
def test_a_truncated_file_is_refused_by_name(tmp_path, suffix):
    path = small().write(tmp_path / f"s{suffix}")
    content = path.read_bytes()
    path.with_name(f"s{suffix}.names.json").unlink(missing_ok=True)
    for k in range(0, len(content) - 4, 7):
        path.write_bytes(content[:k])
        with pytest.raises(InvalidProgram, match=rf"s\{suffix}"):
            Program.read(path)


@pytest.mark.parametrize("suffix", BUNDLES)
def test_a_tampered_bundle_is_refused(tmp_path, suffix):
    path = small("tamper").write(tmp_path / f"s{suffix}")
    content = path.read_bytes()
    for old, new in ((b"tamper", b"temper"), (b"cell 3", b"cell 4"), (b"2.5", b"2.6")):
        if old in content:
            path.write_bytes(content.replace(old, new))
            with pytest.raises(InvalidProgram, match=rf"s\{suffix}"):
                Program.read(path)


def test_a_bundle_with_foreign_arrays_is_refused(tmp_path):
    path = tmp_path / "s.npz"
    np.savez(path, c=np.zeros(2))
    with pytest.raises(InvalidProgram, match=r"s\.npz"):
        Program.read(path)
    data = json.loads(small().write(tmp_path / "s.json").read_text())
    for key in ("arrays", "sha256", "columns", "dtypes", "size"):
        (tmp_path / "t.json").write_text(json.dumps({name: value for name, value in data.items() if name != key}))
        with pytest.raises(InvalidProgram, match=r"t\.json"):
            Program.read(tmp_path / "t.json")


def test_cones_and_huge_numbers_do_not_go_into_an_lp_file(tmp_path):
    b = ProgramBuilder("cone")
    rows = b.rows("norm", (3,))
    b.add(rows, b.columns("x", (3,)), [0, 1, 2], [0, 1, 2])
    b.cone("soc", rows)
    for suffix in FILES:
        with pytest.raises(InvalidProgram, match=r"1 cones[\s\S]*npz"):
            b.build().write(tmp_path / f"c{suffix}")
        huge = ProgramBuilder("huge")
        huge.columns("x", upper=1e20)
        with pytest.raises(InvalidProgram, match=r"col_upper .* 1e\+20"):
            huge.build().write(tmp_path / f"h{suffix}")
    assert not list(tmp_path.iterdir())


def test_rows_without_columns(tmp_path):
    b = ProgramBuilder("no columns")
    b.rows("r", (2,), upper=1.0)
    program = b.build()
    with pytest.raises(InvalidProgram, match="no columns"):
        program.write(tmp_path / "p.lp")
    for suffix in (".mps", *BUNDLES):
        assert_same(program, Program.read(program.write(tmp_path / f"p{suffix}")))
    empty = ProgramBuilder("nothing").build(offset=2.0)
    for suffix in (*FILES, *BUNDLES):
        assert_same(empty, Program.read(empty.write(tmp_path / f"e{suffix}")))


def test_extensions_and_missing_places(tmp_path):
    with pytest.raises(UnknownName, match=r"\.lq[\s\S]*\.lp"):
        small().write(tmp_path / "p.lq")
    with pytest.raises(UnknownName, match="extension"):
        Program.read(tmp_path / "p")
    for suffix in (*FILES, *BUNDLES):
        with pytest.raises(FileTrouble, match="cannot write"):
            small().write(tmp_path / "nowhere" / f"p{suffix}")
        with pytest.raises(FileTrouble, match="cannot read"):
            Program.read(tmp_path / f"p{suffix}")
        (tmp_path / f"folder{suffix}").mkdir()
        with pytest.raises(FileTrouble, match="it is a folder"):
            small().write(tmp_path / f"folder{suffix}")
    assert not list(tmp_path.glob("*.names.json"))
    (tmp_path / "b.lp").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidProgram, match=r"b\.lp is not a text file"):
        Program.read(tmp_path / "b.lp")
