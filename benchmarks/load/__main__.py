"""python -m benchmarks.load --url ws://localhost:8000 --key sk_… --agent bench --sessions 20 --seconds 60"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import get_args

import benchmarks.load
from benchmarks.load.plan import DialectName, Plan
from benchmarks.load.run import Run, load


def report(run: Run) -> str:
    """What a person wants to know of a run."""
    seen, late = run.summary, run.lateness
    lines = [f"sessions  held {seen.held}   refused {seen.refused}   failed {seen.failed}"]
    lines.append(f"turns     {seen.turns}   unanswered {seen.unanswered}   cut {seen.cut}")
    if seen.p50_ms is not None:
        lines.append(
            f"voice to voice, ms   p50 {seen.p50_ms:.1f}   p95 {seen.p95_ms:.1f}   jitter {seen.jitter_ms:.1f}"
            f"   worst {seen.worst_ms:.1f}"
        )
        lines.append(f"worst gap in an answer, ms   {seen.gap_ms:.1f}")
    if late is not None:
        lines.append(
            f"our own lateness, ms   p50 {late.p50_ms:.1f}   p99 {late.p99_ms:.1f}   worst {late.worst_ms:.1f}"
            f"   CPU {run.cpu:.0%} of a core"
        )
    lines += [
        f"session {v.session}: {v.outcome} {v.status or ''} {v.detail}" for v in run.visits if v.outcome == "failed"
    ]
    return "\n".join([*lines, *([f"VOID: {run.void}"] if run.void else [])])


def main() -> None:
    defaults = {field.name: field.default for field in fields(Plan)}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=benchmarks.load.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("--agent", default="")
    parser.add_argument("--dialect", choices=get_args(DialectName), default="realtime")
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--ramp-s", type=float, default=defaults["ramp_s"])
    parser.add_argument("--period-s", type=float, default=defaults["period_s"], help="between one's utterances")
    parser.add_argument("--pause-ms", type=float, default=defaults["pause_ms"], help="of room within each utterance")
    parser.add_argument("--warm-turns", type=int, default=0, help="of each session, that do not count")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--core", type=int, help="pins all processes to this one")
    parser.add_argument("--seed", type=int, default=defaults["seed"])
    parser.add_argument("--out", type=Path, help="everything, turn by turn, as JSON")
    given = vars(parser.parse_args())
    out = given.pop("out")
    run = load(Plan(**given))
    if out is not None:
        out.write_text(json.dumps(asdict(run)))
    print(report(run))


if __name__ == "__main__":
    main()
