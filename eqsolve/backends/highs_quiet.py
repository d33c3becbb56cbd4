"""Models of HiGHS that print nothing unasked.

From 1.16 on HiGHS announces itself on stdout, once in a process, when callbacks are set up; highspy does that in its constructor,
before any option can be set.
"""

from __future__ import annotations

from functools import lru_cache

import highspy


class QuietModel(highspy.Highs):  # type: ignore[misc]  # highspy has no types
    """A ``highspy.Highs`` whose output is off from its first moment on."""

    SILENCE = ("output_flag", False)

    def enableCallbacks(self) -> None:  # noqa: N802
        """What the constructor of ``highspy.Highs`` calls last, in silence."""
        self.setOptionValue(*self.SILENCE)
        super().enableCallbacks()


class _UnseenModel(QuietModel):
    """Output is on and goes nowhere, so that HiGHS takes itself for announced."""

    SILENCE = ("log_to_console", False)


@lru_cache(maxsize=1)
def announce_unseen() -> None:
    """Keep quiet the models that others make in this process, such as cvxpy, which turns their output off too late."""
    _UnseenModel()
