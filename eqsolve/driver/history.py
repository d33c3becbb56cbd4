"""One record per iteration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from eqsolve.errors import BackendUnavailable, InvalidData, unknown

if TYPE_CHECKING:
    import pandas as pd

Record = Mapping[str, float | int | bool]
"""What an algorithm reports of one iteration: numbers by name, the same names every time."""


class History:
    """The records of a run in order, and the seconds after which each was reached.

    Examples
    --------
    >>> history = History()
    >>> history.append({"value": 0.5, "gap": 1.0}, 0.01)
    >>> history.append({"value": 0.75, "gap": 0.5}, 0.02)
    >>> history["gap"]
    array([1. , 0.5])
    """

    def __init__(self, columns: Mapping[str, npt.ArrayLike] | None = None, seconds: npt.ArrayLike = ()) -> None:
        given = {name: np.asarray(values) for name, values in (columns or {}).items()}
        times = np.asarray(seconds, dtype=np.float64)
        for name, values in given.items():
            if values.shape != times.shape:
                raise InvalidData(f"a history with {len(times)} times has {values.size} records of {name}")
        self._names: tuple[str, ...] = tuple(given)
        # One list, so that an interrupt never leaves a record without its time.
        self._rows: list[tuple[Any, ...]] = list(zip(times.tolist(), *(one.tolist() for one in given.values()), strict=True))

    def append(self, record: Record, seconds: float) -> None:
        """Add one record.

        Raises
        ------
        InvalidData : other names than the records before.
        """
        if not self._rows:
            self._names = tuple(record)
        elif self._names != tuple(record):
            raise InvalidData(f"a record has the columns {', '.join(record)}; those before have {', '.join(self._names)}")
        self._rows.append((seconds, *record.values()))

    def first(self, count: int) -> History:
        """The history as it was after so many records."""
        found = History()
        found._names, found._rows = self._names, self._rows[:count]
        return found

    def parts(self) -> dict[str, Any]:
        """The columns and times, for files."""
        return {"columns": {name: self[name] for name in self._names}, "seconds": self.seconds}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self._names

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """Seconds of the run at which each record was reached; they differ from run to run."""
        return np.array([row[0] for row in self._rows], dtype=np.float64)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        if column not in self._names:
            raise unknown("column of the history", column, self._names)
        k = self._names.index(column) + 1
        return np.array([row[k] for row in self._rows])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self._names, row[1:], strict=True)) for row in self._rows)

    def equals(self, other: History) -> bool:
        """Whether all records are the same to the last bit, recorded times aside."""
        alike = (self._names, len(self)) == (other._names, len(other))
        return alike and all(self[one].tobytes() == other[one].tobytes() for one in self._names)

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame: one row per iteration, the records and ``seconds``.

        Raises
        ------
        BackendUnavailable : pandas is not installed.
        """
        frame = data_frame({name: self[name] for name in self._names} | {"seconds": self.seconds})
        frame.index.name = "iteration"
        return frame

    def __repr__(self) -> str:
        return f"<History: {len(self):,} records of {', '.join(self._names) or 'nothing'}>"


def data_frame(content: Any) -> pd.DataFrame:
    """Columns by name, or a list of rows, as a pandas frame.

    Raises
    ------
    BackendUnavailable : pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as cause:
        raise BackendUnavailable("pandas is not installed", "pip install 'eqsolve[pandas]'") from cause
    return pd.DataFrame(content)
