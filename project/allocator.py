"""How the C library hands out memory.

glibc gives each thread an arena of its own, up to eight a core, and an arena keeps what its busiest moment needed. A
server has some ten threads, each of which is busy now and then.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

M_ARENA_MAX: Final = -8
"""The parameter's number in glibc's malloc.h."""
ARENAS: Final = 2
"""One for the event loop, and one for all other threads, which seldom ask at the same moment."""


def bound_arenas() -> None:
    """Call this before there are threads. MALLOC_ARENA_MAX overrides it; other C libraries have no arenas to bound."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(M_ARENA_MAX, ARENAS)
