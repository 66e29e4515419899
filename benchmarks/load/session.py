"""One client with an open microphone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from benchmarks.load.connection import Connection, on_the_wire
from benchmarks.load.dialects import Dialect, Heard
from benchmarks.load.figures import Playout, Turn, Visit
from benchmarks.load.material import Material
from benchmarks.load.plan import FRAME_S, Plan


class Wires:
    """The material as bytes for the transport, made once and shared by all clients of a process."""

    def __init__(self, dialect: Dialect, clips: Material) -> None:
        def wires(frames: Sequence[bytes]) -> list[bytes]:
            return [on_the_wire(dialect.opcode, dialect.frame(pcm)) for pcm in frames]

        self.room = wires(clips.room)
        self.utterances = [wires(clip) for clip in clips.utterances]
        if dialect.said:
            for clip in self.utterances:
                clip[-1] += on_the_wire(dialect.opcode, dialect.said)


class Session:
    """Opens at its moment, then `tick` sends its next frame; `due` is when that is, None while it has none."""

    def __init__(self, plan: Plan, number: int, dialect: Dialect, wires: Wires, began: float) -> None:
        uri, headers = dialect.address(plan)
        self.visit = Visit(number)
        self.due: float | None = None
        self._plan, self._number, self._dialect, self._wires = plan, number, dialect, wires
        self._counts_from = began + plan.ramp_s
        self._moments = plan.utterances(number, len(wires.utterances))
        self._frame = 0
        self._at = number * 97 % len(wires.room)
        self._saying: list[bytes] = []
        self._asked = 0.0
        self._turn: Turn | None = None
        self._playout = Playout()
        self._connection = Connection(uri, headers, opened=self._opened, heard=self._heard, ended=self._ended)

    async def open(self) -> None:
        self._asked = time.monotonic()
        try:
            await self._connection.open()
        except OSError as error:
            self.visit.detail = str(error)

    def tick(self) -> None:
        """Send the frame that is due."""
        assert self.due is not None
        self.due += FRAME_S
        if (clip := self._moments.get(self._frame)) is not None:
            self._saying = list(reversed(self._wires.utterances[clip]))
            self._turn = Turn()
        self._frame += 1
        self._connection.send(self._saying.pop() if self._saying else self._room())
        if self._turn is not None and self._turn.said is None and not self._saying:
            self._said(self._turn)

    def close(self) -> None:
        self.visit.waiting_bytes = self._connection.waiting_bytes
        self.due = None
        self._connection.close()

    def _room(self) -> bytes:
        self._at = (self._at + 1) % len(self._wires.room)
        return self._wires.room[self._at]

    def _said(self, turn: Turn) -> None:
        turn.said = time.monotonic()
        turn.counts = turn.said >= self._counts_from and len(self.visit.turns) >= self._plan.warm_turns
        self.visit.turns.append(turn)

    def _opened(self) -> None:
        self.visit.status = 101
        self.visit.waited_ms = (time.monotonic() - self._asked) * 1000
        if not self._dialect.greets:
            self._begin()

    def _begin(self) -> None:
        self.visit.outcome = "held"
        self.due = self._plan.first_due(self._number, time.monotonic())

    def _heard(self, at: float, message: bytes) -> None:
        heard = self._dialect.hear(message)
        match heard:
            case Heard("ready"):
                self._begin()
            case Heard("error", detail=detail):
                self.visit.detail = detail
            case Heard() if self._turn is not None:
                self._note(self._turn, at, heard)

    def _note(self, turn: Turn, at: float, heard: Heard) -> None:
        match heard.kind:
            case "speech":
                turn.speech = turn.speech or at
                self._playout = Playout()
            case "silence":
                turn.silence = at
                turn.ends += 1
            case "reply":
                turn.replies += 1
                self._playout = Playout()
            case "audio" if turn.said is not None:
                turn.first_audio = turn.first_audio or at
                self._playout.take(at, heard.ms)
                turn.heard_ms += heard.ms
                turn.worst_gap_ms = max(turn.worst_gap_ms, self._playout.worst_gap_ms)

    def _ended(self, status: int, headers: Mapping[str, str]) -> None:
        if self.due is not None:
            self.visit.outcome = "failed"
            self.visit.detail = self.visit.detail or "the server closed the connection"
        elif status:
            self.visit.outcome = "refused"
            self.visit.status = status
            self.visit.retry_after = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
            self.visit.waited_ms = (time.monotonic() - self._asked) * 1000
        self.due = None
