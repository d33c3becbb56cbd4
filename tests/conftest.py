"""What all tests need."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Shells start what runs in the background so; the tests, and the programs that they start, are to hear Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
