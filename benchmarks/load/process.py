"""`drive` as a program: pickled arguments on stdin, its pickled answer on stdout."""

from __future__ import annotations

import pickle
import sys

from benchmarks.load.driver import drive

if __name__ == "__main__":
    pickle.dump(drive(*pickle.load(sys.stdin.buffer)), sys.stdout.buffer)  # noqa: S301 - from `load`
