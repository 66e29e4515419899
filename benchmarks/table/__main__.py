"""python -m benchmarks.table [--only latency,barge-in,density,memory,admission] [--quick] [--out FOLDER]"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import benchmarks.table
from benchmarks.table import admission, barge_in, density, latency, machine, memory
from benchmarks.table.bench import ATTEMPTS, QUICK, Bench, Sizes
from benchmarks.table.rows import Row, markdown

PARTS: Final[Mapping[str, Callable[[Bench], list[Row]]]] = {
    "latency": latency.measure,
    "barge-in": barge_in.measure,
    "density": density.measure,
    "memory": memory.measure,
    "admission": admission.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table",
        description=benchmarks.table.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: it shows that all works, not what it can")
    parser.add_argument("--rounds", type=int, help="of A B A B …")
    parser.add_argument("--attempts", type=int, default=ATTEMPTS, help="at a run that is void")
    parser.add_argument("--keep-void", action="store_true", help="void runs enter the table, which then says so")
    parser.add_argument("--no-peer", action="store_true", help="which is installed from the network when first needed")
    parser.add_argument("--out", type=Path, help="a folder for the raw files; default: benchmark-TIME")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := [name for name in chosen if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    sizes = QUICK if options.quick else Sizes()
    sizes = sizes.changed(rounds=options.rounds)
    folder = options.out or Path(f"benchmark-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    folder.mkdir(parents=True, exist_ok=True)
    print(run(Bench(folder, sizes, options.attempts, options.keep_void, peer=not options.no_peer), chosen))


def run(bench: Bench, chosen: list[str]) -> str:
    """The table, which is also written into the folder."""
    about = machine.description()
    if bench.keep_void:
        about["VOID"] = "runs that others disturbed are among these figures"
    (bench.folder / "machine.json").write_text(json.dumps(about))
    rows = [row for name in chosen for row in PARTS[name](bench)]
    text = "\n".join([*(f"{name}: {value}" for name, value in about.items()), "", markdown(rows), ""])
    (bench.folder / "table.md").write_text(text)
    return text


if __name__ == "__main__":
    main()
