"""A few words while a tool keeps everybody waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from agents.interfaces import Toolbox, ToolCall, ToolResult, ToolSpec
from agents.spec import FillerSpec
from telemetry import counters, names
from telemetry.trace import TurnMarks

MOST = 3
"""Phrases in one reply; each is waited for twice as long as the one before."""
LOOK_S = 0.1
"""How soon the listener is looked after again, while what was said before is not yet voiced."""


class Filler:
    """Puts a phrase among the words of one reply, when a tool has been running for `after_ms` and nobody speaks.

    `start` is the phrase to begin with, so that replies take turns. `busy_s` says for how long the listener still
    hears what was said before; 0 is silence.
    """

    def __init__(self, spec: FillerSpec, marks: TurnMarks, *, start: int, busy_s: Callable[[], float]) -> None:
        self._spec = spec
        self._marks = marks
        self._next = start
        self._busy_s = busy_s
        self._left = MOST if spec.phrases else 0
        self._wait_s = spec.after_ms / 1000
        self._running = 0
        self._due: float | None = None
        self._timeout: asyncio.Timeout | None = None

    def watch(self, tools: Toolbox) -> Toolbox:
        """The same tools, seen to run."""
        return _Watched(tools, self) if self._left else tools

    async def among(self, words: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        """`words`, which must bear that a wait for the next one is given up, and phrases among them."""
        said = ""
        while True:
            try:
                async with asyncio.timeout_at(self._due) as self._timeout:
                    said = await anext(words)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if (phrase := self._phrase(said)) is None:
                    continue
                said = phrase
            finally:
                self._timeout = None
            yield said

    def began(self) -> None:
        self._running += 1
        if self._running == 1 and self._left:
            self._remind(asyncio.get_running_loop().time() + self._wait_s)

    def ended(self) -> None:
        self._running -= 1
        if not self._running:
            self._remind(None)

    def _remind(self, due: float | None) -> None:
        self._due = due
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(due)

    def _phrase(self, said: str) -> str | None:
        """The next phrase, after `said`; None while the listener still hears something."""
        now = asyncio.get_running_loop().time()
        if (busy_s := self._busy_s()) > 0:
            self._due = now + busy_s
            return None
        phrase = self._spec.phrases[self._next % len(self._spec.phrases)].strip()
        self._next, self._left, self._wait_s = self._next + 1, self._left - 1, 2 * self._wait_s
        self._due = now + self._wait_s if self._left else None
        counters.count(names.INTERJECTIONS, kind="filler")
        self._marks.add(names.FILLERS, 1)
        before = " " if said and not said[-1].isspace() else ""
        return f"{before}{phrase}{'' if phrase[-1] in '.!?…。！？' else '.'} "


class _Watched:
    """A Toolbox whose runs a Filler knows of."""

    def __init__(self, inner: Toolbox, filler: Filler) -> None:
        self._inner = inner
        self._filler = filler

    def specs(self) -> Sequence[ToolSpec]:
        return self._inner.specs()

    def on_server(self, name: str) -> bool:
        return self._inner.on_server(name)

    async def run(self, call: ToolCall, marks: TurnMarks) -> ToolResult:
        self._filler.began()
        try:
            return await self._inner.run(call, marks)
        finally:
            self._filler.ended()
