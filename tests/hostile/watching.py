"""What one client has sent and seen, and what it is still owed."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from tests.hostile.breaking import Frame
from tests.hostile.events import Event
from tests.hostile.sequences import Pause, Step, cancels, farewell, resolved
from tests.invariants import Broken, Invariants, must

ANSWERS = {
    "session.update": "session.updated",
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "conversation.item.create": "conversation.item.added",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.delete": "conversation.item.deleted",
    "conversation.item.truncate": "conversation.item.truncated",
    "response.create": "response.created",
}
"""Events that are answered, each of a kind in the order of its questions, or with an error."""
QUESTIONS = {answer: asked for asked, answer in ANSWERS.items()}
UNASKED = {"input_audio_buffer_full", "session_expired"}
"""Codes of errors that no single event is to blame for."""
KEPT = 50

Send = Callable[[str | bytes], Awaitable[None]]


class Watch:
    """Checks all that a server says to one client, and counts it."""

    def __init__(self) -> None:
        self.events = 0
        self.sent = 0
        self.kinds: Counter[str] = Counter()
        self.last: deque[str] = deque(maxlen=KEPT)
        self._rules = Invariants()
        self._known: dict[str, deque[str]] = {kind: deque(maxlen=8) for kind in ("item", "response", "call")}
        self._owed: dict[str, dict[str, None]] = {kind: {} for kind in ANSWERS}
        self._spare: Counter[str] = Counter()
        self._wrong: dict[str, Frame] = {}
        self._refused: set[str] = set()
        self._nameless = 0
        self._unreadable = 0
        self._made_by_server: set[str] = set()
        self._news = asyncio.Event()
        self._began = asyncio.get_running_loop().time()
        self._noted, self._repeated = "", 0

    # --- what is sent ---

    def sends(self, frame: Frame) -> str | bytes:
        """Note what is owed for a frame; its data, with the ids that it refers to."""
        self.sent += 1
        if frame.verdict == "wrong":
            if frame.event_id is None:
                self._nameless += 1
            else:
                self._wrong[frame.event_id] = frame
        elif frame.kind in ANSWERS:
            if frame.verdict == "good" and frame.event_id is not None and not _bare(frame):
                self._owed[frame.kind][frame.event_id] = None
            else:
                self._spare[frame.kind] += 1
        self._unreadable += frame.verdict == "open" and _may_be_no_json(frame)
        data = resolved(frame.data, self._known)
        self._noted = ""
        self._note("sent", f"> {data[:200]!r}")
        return data

    # --- what is seen ---

    def takes(self, message: str | bytes) -> None:
        event: Event = msgspec.json.decode(message)
        self.events += 1
        self.kinds[event["type"]] += 1
        self._note(event["type"], f"< {message[:200]!r}")
        self._rules.see(event)
        self._remember(event)
        self._settle(event)
        self._news.set()

    def _note(self, kind: str, line: str) -> None:
        """Keep a line of what was said; of events of one kind in a row, the last."""
        at = f"{asyncio.get_running_loop().time() - self._began:8.3f} "
        if kind == self._noted:
            self._repeated += 1
            self.last[-1] = f"{at}{line} (the {self._repeated}th in a row)"
        else:
            self._noted, self._repeated = kind, 1
            self.last.append(at + line)

    def _remember(self, event: Event) -> None:
        match event:
            case {"type": "conversation.item.added", "item": item}:
                self._known["item"].append(item["id"])
                if "call_id" in item:
                    self._known["call"].append(item["call_id"])
            case {"type": "response.created", "response": response}:
                self._known["response"].append(response["id"])

    def _settle(self, event: Event) -> None:
        """Take what `event` answers from what is owed."""
        match event:
            case {"type": "error", "error": error}:
                self._on_error(error)
            case {"type": "input_audio_buffer.speech_stopped" | "input_audio_buffer.timeout_triggered"}:
                self._made_by_server.add(event["item_id"])
            case {"type": "response.output_item.added", "item": item}:
                self._made_by_server.add(item["id"])
            case {"type": "input_audio_buffer.committed", "item_id": item_id}:
                self._made(item_id, "input_audio_buffer.commit")
                self._made_by_server.add(item_id)
            case {"type": "conversation.item.added", "item": item}:
                self._made(item["id"], "conversation.item.create")
            case {"type": "response.created", "response": response}:
                self._owed["response.create"].pop(str((response["metadata"] or {}).get("n")), None)
            case {"type": kind} if kind in QUESTIONS:
                self._answered(QUESTIONS[kind])

    def _made(self, item_id: str, asked: str) -> None:
        """An item is there: the server's own, or the answer to what was `asked`."""
        if item_id in self._made_by_server:
            self._made_by_server.discard(item_id)
        else:
            self._answered(asked)

    def _on_error(self, error: Event) -> None:
        event_id = error["event_id"]
        if event_id is None:
            if error["code"] not in UNASKED:
                self._nameless -= 1
                must(self._nameless >= -self._unreadable, "each error is one for something that was sent")
            return
        must(event_id not in self._refused, "a refused event is answered once")
        self._refused.add(event_id)
        self._wrong.pop(event_id, None)
        for owed in self._owed.values():
            owed.pop(event_id, None)

    def _answered(self, kind: str) -> None:
        owed = self._owed[kind]
        if owed:
            del owed[next(iter(owed))]
        else:
            must(self._spare[kind] > 0, f"{ANSWERS[kind]} answers something that was asked")
            self._spare[kind] -= 1

    # --- waiting ---

    @property
    def open(self) -> list[str]:
        """Responses that have begun and not ended."""
        return sorted(self._rules.open)

    def lacking(self) -> list[str]:
        """What is still owed, in words."""
        wrong = [f"an error for {event_id}: {frame.data[:300]!r}" for event_id, frame in self._wrong.items()]
        owed = [f"{ANSWERS[kind]} or an error for {event_id}" for kind, ids in self._owed.items() for event_id in ids]
        done = [f"response.done for {response_id}" for response_id in self.open]
        nameless = [f"{self._nameless} errors without event_id"] if self._nameless > 0 else []
        try:
            self._rules.end()
        except Broken as broken:
            return [*wrong, *owed, *done, *nameless, str(broken)]
        return [*wrong, *owed, *done, *nameless]

    async def until_more(self, kind: str, within_s: float) -> None:
        """Wait for one more event of `kind`, but no longer than `within_s`."""
        seen = self.kinds[kind]
        await self.until(lambda: self.kinds[kind] > seen, within_s)

    async def until(self, met: Callable[[], bool], within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                while not met():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True


def _may_be_no_json(frame: Frame) -> bool:
    """Half a surrogate pair is JSON to some."""
    return "\\ud83d" in (frame.data if isinstance(frame.data, str) else frame.data.decode(errors="replace"))


def _bare(frame: Frame) -> bool:
    """A response.create without our number: its response cannot be told from the server's own."""
    return frame.kind == "response.create" and b'"n"' not in (
        frame.data if isinstance(frame.data, bytes) else frame.data.encode(errors="replace")
    )


async def perform(steps: Sequence[Step], watch: Watch, send: Send) -> None:
    for step in steps:
        match step:
            case Frame():
                await send(watch.sends(step))
            case Pause(seconds, None):
                await asyncio.sleep(seconds)
            case Pause(seconds, str(moment)):
                await watch.until_more(moment, seconds)


async def settled(name: str, watch: Watch, send: Send, *, within_s: float, in_haste: bool = False) -> None:
    """Bring a sequence to its end: what is owed must come within `within_s`, and the session still answer.

    In haste, responses are not heard to their end but cancelled.
    """
    for frame in [*farewell(name), *(cancels(name, watch.open) if in_haste else [])]:
        await send(watch.sends(frame))
    if not await watch.until(lambda: not watch.lacking(), within_s):
        raise Broken(f"{name}: after {within_s} s still lacking: {'; '.join(watch.lacking())}")


def transcript(watch: Watch) -> str:
    """The last that was said, both ways."""
    return "\n".join(watch.last)
