"""What a reply does before it is certain that it is wanted, and what has to wait until it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from agents.interfaces import Toolbox, ToolCall, ToolResult, ToolSpec
from agents.tools.toolbox import ShieldedToolbox
from telemetry.trace import TurnMarks


class Gate:
    """Opens once and for good. Who comes before that waits, or leaves word of what is to be done then."""

    def __init__(self, *, is_open: bool) -> None:
        self._opened = asyncio.Event()
        self._words_left: list[Callable[[], None]] = []
        if is_open:
            self._opened.set()

    @property
    def is_open(self) -> bool:
        return self._opened.is_set()

    def open(self) -> None:
        self._opened.set()
        while self._words_left:
            self._words_left.pop(0)()

    async def passed(self) -> None:
        await self._opened.wait()

    def then(self, do: Callable[[], None]) -> None:
        """Do it now if the gate is open, else when it opens; never if it does not."""
        if self.is_open:
            do()
        else:
            self._words_left.append(do)


class GatedToolbox:
    """A Toolbox whose calls outlive their reply, as in ShieldedToolbox, but only beyond the gate.

    Before it a tool with side effects waits. Others run, stop with their reply, and `ended` hears of them only
    if the gate opens.
    """

    def __init__(
        self, inner: Toolbox, tasks: asyncio.TaskGroup, ended: Callable[[ToolCall, str], None], gate: Gate
    ) -> None:
        self._inner = inner
        self._gate = gate
        self._ended = ended
        self._shielded = ShieldedToolbox(inner, tasks, self._tell, outlives=lambda: gate.is_open)

    def specs(self) -> Sequence[ToolSpec]:
        return self._inner.specs()

    def on_server(self, name: str) -> bool:
        return self._inner.on_server(name)

    async def run(self, call: ToolCall, marks: TurnMarks) -> ToolResult:
        if any(spec.side_effects for spec in self.specs() if spec.name == call.name):
            await self._gate.passed()
        return await self._shielded.run(call, marks)

    def _tell(self, call: ToolCall, output: str) -> None:
        self._gate.then(partial(self._ended, call, output))
