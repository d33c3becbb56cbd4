"""LP and MPS files of other tools, and ours in their hands."""

import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from eqsolve.errors import InvalidProgram
from eqsolve.programs import Program, ProgramBuilder

FILES = (".lp", ".mps")


def highs_on_file(path):
    """Optimum by HiGHS of a file that it reads itself."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(path)) != highspy.HighsStatus.kError
    solver.run()
    status = solver.getModelStatus()
    return solver.getInfo().objective_function_value if status == highspy.HighsModelStatus.kOptimal else status.name


def highs_on_arrays(program):
    """Optimum by HiGHS of the program's arrays, handed over without any file."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = program.n_columns, program.n_rows
    lp.sense_ = highspy.ObjSense.kMaximize if program.sense == "max" else highspy.ObjSense.kMinimize
    lp.offset_, lp.col_cost_ = program.offset, program.c
    lp.col_lower_, lp.col_upper_, lp.row_lower_, lp.row_upper_ = (
        program.col_lower,
        program.col_upper,
        program.row_lower,
        program.row_upper,
    )
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = program.A.indptr, program.A.indices, program.A.data
    if program.integrality is not None:
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(one)] for one in program.integrality]
    solver.passModel(lp)
    if program.Q is not None:
        hessian = highspy.HighsHessian()
        lower = sparse.csc_array(sparse.tril(program.Q))
        hessian.dim_, hessian.format_ = program.n_columns, highspy.HessianFormat.kTriangular
        hessian.start_, hessian.index_, hessian.value_ = lower.indptr, lower.indices, lower.data
        solver.passHessian(hessian)
    solver.run()
    status = solver.getModelStatus()
    return solver.getInfo().objective_function_value if status == highspy.HighsModelStatus.kOptimal else status.name


def gurobi_on_file(path):
    import gurobipy

    with gurobipy.Env(params={"OutputFlag": 0}) as env, gurobipy.read(str(path), env=env) as model:
        model.optimize()
        return model.ObjVal


def cplex_on_file(path):
    import cplex

    with cplex.Cplex() as model:
        for stream in (model.set_log_stream, model.set_results_stream, model.set_warning_stream, model.set_error_stream):
            stream(None)
        model.read(str(path))
        model.solve()
        return model.solution.get_objective_value()


@lru_cache
def cbc_executable():
    return in_another_process("import pulp; print(pulp.PULP_CBC_CMD().path)")


def cbc_on_file(path, sense):
    """CBC's own executable; it heeds no OBJSENSE."""
    answer = path.with_suffix(".sol")
    words = [cbc_executable(), str(path), *(["-max"] if sense == "max" else []), "-solve", "-solu", str(answer)]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    head = answer.read_text().splitlines()[0]
    assert head.startswith("Optimal")
    return float(head.rpartition(" ")[2])


READERS = {"highs": highs_on_file} | ({"gurobi": gurobi_on_file} if find_spec("gurobipy") else {})
READERS |= {"cplex": cplex_on_file} if find_spec("cplex") else {}


def random_program(seed, quadratic=False, integer=False):
    """Bounded and feasible: the rows are built around a point that the bounds and integrality hold."""
    rng = np.random.default_rng(seed)
    b = ProgramBuilder(f"random {seed}", "max" if seed % 2 else "min")
    n, m = 6, 5
    lower = rng.choice([0.0, -3.0, -7.5, 1.0, -np.inf], n)
    lower[0], upper = -9.0, np.maximum(np.where(np.isfinite(lower), lower, -4.0), 0.0) + rng.integers(0, 4, n)
    upper[0] = -2.0
    x = b.columns(
        "x, of road", (3, 2), axes=("player", "a"), lower=lower, upper=upper, integer=rng.random(n) < 0.5 if integer else False
    )
    floor, ceiling = np.ceil(np.where(np.isfinite(lower), lower, -9.0)), np.floor(upper)
    point = np.clip(rng.integers(-5, 5, n), floor, np.maximum(floor, ceiling)).astype(float)
    A = np.where(rng.random((m, n)) < 0.6, rng.integers(-4, 5, (m, n)) + 0.1, 0.0)
    A[4] = 0.0
    activity = A @ point
    row_lower = np.where(rng.random(m) < 0.5, activity - rng.random(m) * 3, -np.inf)
    row_upper = np.where(rng.random(m) < 0.7, activity + rng.random(m) * 3, np.inf)
    rows = b.rows("free", (m,), lower=row_lower, upper=row_upper)
    b.add(rows, x, sparse.csc_array(A))
    box = b.rows("box", (n,), lower=-30.0, upper=30.0)
    b.add(box, x, sparse.eye_array(n))
    b.objective(x, rng.normal(size=n) * (rng.random(n) < 0.8))
    if quadratic:
        factor = rng.normal(size=(n, 3))
        b.quadratic(x, x, factor @ factor.T * (-1 if seed % 2 else 1))
    return b.build(offset=float(rng.normal()) if seed % 3 else 0.0)


@pytest.mark.parametrize("suffix", FILES)
@pytest.mark.parametrize("form", ["LP", "QP", "MILP"])
@pytest.mark.parametrize("reader", READERS)
def test_other_solvers_find_the_same_optimum_in_our_files(reader, form, suffix, tmp_path):
    for seed in range(8):
        program = random_program(seed, quadratic=form == "QP", integer=form == "MILP")
        expected = highs_on_arrays(program)
        assert isinstance(expected, float)
        path = program.write(tmp_path / f"{seed}{suffix}")
        assert READERS[reader](path) == pytest.approx(expected, abs=2e-6, rel=1e-6)


@pytest.mark.parametrize("suffix", FILES)
def test_the_executable_of_cbc_finds_the_same_optimum(suffix, tmp_path):
    for seed in range(4):
        program = random_program(seed, integer=seed > 1)
        path = program.write(tmp_path / f"{seed}{suffix}")
        found = cbc_on_file(path, program.sense if suffix == ".mps" else "as the file says")
        assert found == pytest.approx(highs_on_arrays(program), abs=1e-5)


@pytest.mark.parametrize("suffix", FILES)
def test_files_written_by_highs_are_read(suffix, tmp_path):
    for seed in range(6):
        program = random_program(seed, quadratic=seed > 2, integer=seed < 3)
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.readModel(str(program.write(tmp_path / "ours.mps")))
        solver.writeModel(str(tmp_path / f"theirs{suffix}"))
        assert highs_on_arrays(Program.read(tmp_path / f"theirs{suffix}")) == pytest.approx(highs_on_arrays(program), abs=1e-6)


WRITE_BY_PULP = """
import sys, pulp
model = pulp.LpProblem("pulp_model", pulp.LpMinimize)
x = pulp.LpVariable("x", -3, 4)
y = pulp.LpVariable("y", 0, None, cat="Integer")
z = pulp.LpVariable("z", cat="Binary")
model += z - 3 * x - 2 * y
model += x + y <= 7.5, "load"
model += x - y >= -4, "gap"
(model.writeLP if sys.argv[1].endswith(".lp") else model.writeMPS)(sys.argv[1])
"""


def in_another_process(code, *arguments):
    """Output of Python code run by itself: importing pulp imports every solver, and OSQP then crashes the process."""
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize("suffix", FILES)
def test_files_written_by_pulp_are_read(suffix, tmp_path):
    in_another_process(WRITE_BY_PULP, str(tmp_path / f"m{suffix}"))
    program = Program.read(tmp_path / "m.lp" if suffix == ".lp" else tmp_path / "m.mps")
    assert program.kind == "MILP"
    # y <= x + 4 and x + y <= 7.5: x = 2.5, y = 5 and x = 3.5, y = 4 and x = 4, y = 3: 17.5, 18.5, 18
    assert highs_on_arrays(program) == pytest.approx(-18.5)
    assert program.row("row", "load").startswith("row[load]: ")


@pytest.mark.parametrize("suffix", FILES)
@pytest.mark.parametrize("seed", range(4) if find_spec("gurobipy") else ())
def test_files_written_by_gurobi_are_read(suffix, seed, tmp_path):
    import gurobipy

    program = random_program(seed, quadratic=seed > 1, integer=seed < 2)
    with gurobipy.Env(params={"OutputFlag": 0}) as env, gurobipy.read(str(program.write(tmp_path / "ours.mps")), env=env) as model:
        model.write(str(tmp_path / f"theirs{suffix}"))
    assert highs_on_arrays(Program.read(tmp_path / f"theirs{suffix}")) == pytest.approx(highs_on_arrays(program), abs=1e-6)


def read_lp(tmp_path, text):
    path = tmp_path / "m.lp"
    path.write_text(text)
    return Program.read(path)


def test_the_grammar_of_lp(tmp_path):
    text = """\\ a comment
MINIMIZE obj: 2 x[1,2] - 3.5e0y + 4
      + [ 2 x[1,2] ^2 + 2 x[1,2] * y + 2 y^2 ] / 2
such that
 c1: x[1,2] + y +
     z <= 10      \\ goes on over two lines
 -2 <= x[1,2] - y <= 8
 c3: - z + 3 z + 1 >= -inf
 8 >= z
 c5: 3 = y
Bounds
 -1 <= y <= 5
 z >= -3  z <= +2.5
 free1 free
 w = 2
 3 >= v
 - infinity <= u <= 4
Binaries
 b
Generals
 z w
End
 anything"""
    program = read_lp(tmp_path, text)
    names = list(program.columns[0].labels[0])
    assert names == ["x[1,2]", "y", "z", "free1", "w", "v", "u", "b"]
    assert program.sense == "min"
    assert program.offset == 4
    assert program.c.tolist() == [2, -3.5, 0, 0, 0, 0, 0, 0]
    assert program.Q.toarray()[:2, :2].tolist() == [[2, 1], [1, 2]]
    assert program.A.toarray()[:, :3].tolist() == [[1, 1, 1], [1, -1, 0], [0, 0, 2], [0, 0, 1], [0, 1, 0]]
    assert program.row_lower.tolist() == [-np.inf, -2, -np.inf, -np.inf, 3]
    assert program.row_upper.tolist() == [10, 8, np.inf, 8, 3]
    assert program.rows[0].labels[0] == ("c1", "R2", "c3", "R4", "c5")
    assert program.col_lower.tolist() == [0, -1, -3, -np.inf, 2, 0, -np.inf, 0]
    assert program.col_upper.tolist() == [np.inf, 5, 2.5, np.inf, 2, 3, 4, 1]
    assert np.flatnonzero(program.integrality).tolist() == [2, 4, 7]


def test_a_quadratic_objective_without_the_half_counts_twice(tmp_path):
    program = read_lp(tmp_path, "min\n obj: [ x^2 + x * y + y^2 ]\nst\n c: x + y >= 1\nend\n")
    assert program.Q.toarray().tolist() == [[2, 1], [1, 2]]
    assert highs_on_arrays(program) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x + y\n", 1, "stands before"),
        ("min\n x + y\nst\n c: x + y <= z\nend\n", 4, "a number is expected"),
        ("min\n x + y\nst\n c: x + y\nend\n", 4, "<=, >= or ="),
        ("min\n x + y\nst\n c: x <= 1\n c: y <= 1\nend\n", 5, "twice"),
        ("min\n x + y\nst\n c: x + [ y^2 ] <= 1\nend\n", 4, "quadratic"),
        ("min\n x + [ y^3 ] / 2\nst\nend\n", 2, "neither a square"),
        ("min\n x + [ y^2 ] / 3\nst\nend\n", 2, "divided by 2"),
        ("min\n x + + * y\nst\nend\n", 2, "term is expected"),
        ("min\n x\nst\nbounds\n x <= 4\n y\nend\n", 6, "without a bound"),
        ("min\n x\nst\ngeneral\n 4\nend\n", 5, "not a column"),
        ("min\n x\nst\n c: x <= 4\nsos\n s1: x:1\nend\n", 6, "beyond a linear"),
        ("min\n x\nst\n c: x <= 4 §\nend\n", 4, ""),
        ("min\n x\nst\n c: x <= 4\n", 4, "without End"),
        ("min\n x\nst\n c: 3 <= \nend\n", 4, ""),
    ],
)
def test_a_bad_lp_file_is_refused_with_its_line(tmp_path, text, line, words):
    with pytest.raises(InvalidProgram, match=rf"m\.lp, line {line}: .*{words}"):
        read_lp(tmp_path, text)


MPS = """* a comment
NAME          model one
OBJSENSE MAX
ROWS
 N  cost
 L  le
 G  ge
 E  eq
 E  eq2
 N  spare
COLUMNS
    x  cost  1.5  le  1
    x  ge  2  spare  3
    MARK0000  'MARKER'  'INTORG'
    i  le  1  eq  1
    j  ge  1
    MARK0001  'MARKER'  'INTEND'
    y  eq  1  eq2  1
    z  eq2  -1
RHS
    RHS  cost  -7  le  4
    RHS  ge  1  eq  5
RANGES
    R  le  2.5  ge  4
    R  eq  -2  eq2  3
BOUNDS
 UP BND x 4
 LO BND j 2
 UP BND y -1
 MI BND z
 UP BND z 8
ENDATA
"""


def test_the_grammar_of_mps(tmp_path):
    (tmp_path / "m.mps").write_text(MPS)
    program = Program.read(tmp_path / "m.mps")
    assert program.name == "model one"
    assert program.sense == "max"
    assert program.offset == 7
    assert program.c.tolist() == [1.5, 0, 0, 0, 0]
    assert program.rows[0].labels[0] == ("le", "ge", "eq", "eq2", "spare")
    assert program.row_lower.tolist() == [1.5, 1, 3, 0, -np.inf]
    assert program.row_upper.tolist() == [4, 5, 5, 3, np.inf]
    assert program.A.toarray().tolist() == [[1, 1, 0, 0, 0], [2, 0, 1, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 1, -1], [3, 0, 0, 0, 0]]
    assert program.col_lower.tolist() == [0, 0, 2, -np.inf, -np.inf]
    assert program.col_upper.tolist() == [4, 1, np.inf, -1, 8]
    assert np.flatnonzero(program.integrality).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        (" L  le", " X  le", 6, "not a row"),
        (" G  ge", " G  le", 7, "stands twice"),
        ("le  1\n    x", "le  one\n    x", 12, "'one' is not a number"),
        ("le  1\n    x", "le  nan\n    x", 12, "NaN"),
        ("cost  1.5", "cast  1.5", 12, "'cast' is not in ROWS"),
        ("    z  eq2", "    x  eq2", 19, "do not stand together"),
        ("    z  eq2  -1", "    z  eq2", 19, "not a column"),
        ("RANGES", "SOS", 23, "section 'SOS'"),
        (" LO BND", " SC BND", 28, "bound 'SC'"),
        ("BND y -1", "BND q -1", 29, "not a bound of a column"),
        (" UP BND z", " UP TWO z", 31, "second set"),
        ("ENDATA", "", 32, "without ENDATA"),
    ],
)
def test_a_bad_mps_file_is_refused_with_its_line(tmp_path, old, new, line, words):
    assert old in MPS
    (tmp_path / "m.mps").write_text(MPS.replace(old, new))
    with pytest.raises(InvalidProgram, match=rf"m\.mps, line {line}: .*{words}"):
        Program.read(tmp_path / "m.mps")


def test_entries_given_twice_and_crossed_bounds_name_the_file(tmp_path):
    (tmp_path / "m.mps").write_text(MPS.replace("x  ge  2", "x  le  2"))
    with pytest.raises(InvalidProgram, match=r"m\.mps: the entry of 'x' in 'le' is given twice"):
        Program.read(tmp_path / "m.mps")
    (tmp_path / "m.mps").write_text(MPS.replace("BND x 4", "BND i -4").replace(" LO BND j 2", " LO BND i -2"))
    with pytest.raises(InvalidProgram, match=r"m\.mps: bounds of column x\[i\] are crossed: lower -2, upper -4"):
        Program.read(tmp_path / "m.mps")


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(FILES), st.integers(0, 5), st.data())
def test_a_damaged_file_is_read_or_refused_but_never_breaks(suffix, seed, data):
    with TemporaryDirectory() as folder:
        path = random_program(seed, quadratic=seed % 2 == 0, integer=seed > 3).write(Path(folder) / f"p{suffix}")
        path.with_name(f"p{suffix}.names.json").unlink()
        words = path.read_text().replace("\n", " \n ").split(" ")
        for _ in range(data.draw(st.integers(1, 3))):
            k = data.draw(st.integers(0, len(words) - 1))
            words[k : k + 1] = data.draw(st.sampled_from([[], [words[k]] * 2, [""], ["x"], [":"], ["1e400"], ["-"], ["\n"], ["["]]))
        path.write_text(" ".join(words))
        refusal = ""
        try:
            Program.read(path)
        except InvalidProgram as error:
            refusal = str(error)
    assert not refusal or path.name in refusal
