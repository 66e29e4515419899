"""Who speaks when. All arithmetic of the schedule, without a clock."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

FRAME_S = 0.02
LEAD_IN_S = 1.0
"""Each client first lets the server hear its room."""
ANSWER_S = 6.0
"""Nobody begins to speak so close to the end: what has no answer by then has none."""

DialectName = Literal["realtime", "relay", "pipecat"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A run: `sessions` clients that come in over `ramp_s` seconds, and `seconds` more with all of them there.

    Each speaks every `period_s`, which must leave time for an answer and its silence, and pauses for `pause_ms` in
    the middle. Its first `warm_turns` do not count. `url` is that of the server ("ws://host:port"), `agent` the slug
    of a Realtime session, with our own events if `extensions`. `seed` fixes the moments.
    """

    url: str
    sessions: int
    seconds: float
    key: str = ""
    agent: str = ""
    dialect: DialectName = "realtime"
    extensions: bool = False
    ramp_s: float = 2.0
    period_s: float = 12.0
    pause_ms: float = 0.0
    warm_turns: int = 0
    processes: int = 1
    core: int | None = None
    seed: int = 1

    def share(self, process: int) -> range:
        """The numbers of the clients of one process."""
        return range(process, self.sessions, self.processes)

    def joins_at(self, session: int) -> float:
        """Seconds after the start."""
        return self.ramp_s * session / self.sessions

    def phase(self, session: int) -> float:
        """Seconds by which its frames lie after multiples of 20 ms: the clients divide the 20 ms among them."""
        return FRAME_S * session / self.sessions

    def first_due(self, session: int, now: float) -> float:
        """The next moment of its phase at which 20 ms of room have passed, by the clock that shows `now`."""
        phase = self.phase(session)
        return (int((now - phase) / FRAME_S) + 2) * FRAME_S + phase

    def utterances(self, session: int, clips: int) -> dict[int, int]:
        """Frame number → clip, for as long as the client is there; the clients divide the period among them.

        Each says all clips in turn, so that what one client alone says is what many say.
        """
        rng = random.Random(f"{self.seed} {session}")
        spread = (session + rng.random()) / self.sessions
        at = LEAD_IN_S + spread * self.period_s
        moments: dict[int, int] = {}
        stays = self.ramp_s + self.seconds - self.joins_at(session)
        while at < stays - ANSWER_S:
            moments[round(at / FRAME_S)] = (session + len(moments)) % clips
            at += self.period_s
        return moments
