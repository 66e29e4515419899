from __future__ import annotations

import os
import subprocess
import sys

import pytest

COUNT = """
import ctypes, threading
from project.allocator import bound_arenas

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
if {bound}:
    bound_arenas()
together = threading.Barrier(6)


def ask():
    libc.malloc(5_000)
    together.wait()


threads = [threading.Thread(target=ask) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_info(0, libc.fopen(b"/dev/stdout", b"w"))
libc.fflush(None)
"""


def arenas(*, bound: bool, **environment: str) -> int:
    """Those of a process whose six threads have asked for memory."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    told = subprocess.run(
        [sys.executable, "-c", COUNT.format(bound=bound)],
        env={**plain, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return told.count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are glibc's")
def test_threads_share_two_arenas_unless_the_environment_says_otherwise() -> None:
    assert arenas(bound=False) > 2
    assert arenas(bound=True) == 2
    assert arenas(bound=True, MALLOC_ARENA_MAX="4") == 4
