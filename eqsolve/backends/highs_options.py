"""Options of HiGHS: looked up by name, checked by type, and refused by name when HiGHS does not take them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import highspy

from eqsolve.backends.base import Options
from eqsolve.backends.highs_quiet import QuietModel
from eqsolve.errors import InvalidData, unknown

DEFAULTS: dict[str, object] = {
    "output_flag": False,
    "threads": 1,
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
    "mip_rel_gap": 1e-9,
    "mip_abs_gap": 1e-9,
    "mip_feasibility_tolerance": 1e-9,
    "small_matrix_value": 1e-12,
}
"""What a session sets where the user does not. Measured: the tighter tolerances cost nothing on stage programs."""

WITHOUT_BASIS: dict[str, object] = {
    "presolve": "off",
    "primal_feasibility_tolerance": 1e-7,
    "dual_feasibility_tolerance": 1e-7,
}
"""Instead, where no basis ends the run: HiGHS cannot carry duals back through its presolve without one, and interior and
first-order points seldom get closer."""

UNLISTED = ("iis_strategy", "iis_time_limit", "icrash", "use_warm_start", "mip_root_presolve_only", "solver_phase1_qp")
"""Options that some versions of HiGHS have without listing them on ``HighsOptions``; offered in hints only."""

_WANTED: dict[str, tuple[str, tuple[type, ...]]] = {
    "kBool": ("True or False", (bool,)),
    "kInt": ("a whole number", (int,)),
    "kDouble": ("a number", (int, float)),
    "kString": ("a string", (str,)),
}


def new_model(options: Options) -> Any:
    """An empty ``highspy.Highs`` that carries the defaults and the given options.

    Raises
    ------
    UnknownName : HiGHS has no such option; the nearest ones are named.
    InvalidData : a value of the wrong type, or one that HiGHS refuses.
    """
    model = QuietModel()
    without_basis = options.get("run_crossover") == "off" or options.get("solver") == "pdlp"
    for name, value in (DEFAULTS | WITHOUT_BASIS if without_basis else DEFAULTS).items():
        set_option(model, name, value)
    for name, value in options.items():
        set_option(model, name, value)
    return model


def set_option(model: Any, name: str, value: object) -> None:
    """Set one option, or refuse it (see ``new_model``)."""
    status, kind = model.getOptionType(name)
    if status != highspy.HighsStatus.kOk:
        raise unknown("option of backend highs", name, option_names())
    words, types = _WANTED[kind.name]
    plain: Any = value.item() if hasattr(value, "item") else value
    fits = isinstance(plain, types) and (bool in types or not isinstance(plain, bool))
    if not fits or (isinstance(plain, float) and math.isnan(plain)):
        raise InvalidData(f"option {name!r} of backend highs is {value!r}, which is not {words}")
    if kind == highspy.HighsOptionType.kDouble:
        plain = float(plain)
    elif kind == highspy.HighsOptionType.kInt and abs(int(plain)) > highspy.kHighsIInf:
        raise InvalidData(f"option {name!r} of backend highs is {value!r}; HiGHS takes at most {highspy.kHighsIInf}")
    if model.setOptionValue(name, plain) == highspy.HighsStatus.kError:
        default = QuietModel().getOptionValue(name)[1]
        raise InvalidData(f"HiGHS refuses the value {value!r} for option {name!r}", f"Its default is {default!r}.")


@lru_cache(maxsize=1)
def option_names() -> tuple[str, ...]:
    """Names of the options of the installed HiGHS."""
    model = QuietModel()
    listed = [name for name in dir(model.getOptions()) if not name.startswith("_")]
    extra = [name for name in UNLISTED if model.getOptionType(name)[0] == highspy.HighsStatus.kOk]
    return tuple(sorted({*listed, *extra}))
