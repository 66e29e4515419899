"""A transcription session of the Realtime API: words while audio comes, the rest once it is committed."""

from __future__ import annotations

import base64
import json
import time
from itertools import islice
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.providers.log import Entry
from benchmarks.providers.script import Script
from benchmarks.providers.timed import until

RATE = 24_000
WORDS = "conversation.item.input_audio_transcription"


class Ears:
    """One client's session, on script. Every word, and the end, is a piece of the answer."""

    def __init__(self, socket: WebSocket, script: Script, entry: Entry) -> None:
        self._socket = socket
        self._script = script
        self._entry = entry
        self._heard_s = 0.0
        self._pieces = 0
        words = script.transcript.split(" ")
        self._words = iter([word if number == 0 else f" {word}" for number, word in enumerate(words)])

    async def converse(self) -> None:
        await self._socket.accept()
        await self._tell("session.created", session={"type": "transcription"})
        try:
            while True:
                await self._take(json.loads(await self._socket.receive_text()))
        except WebSocketDisconnect:
            if self._entry.last_byte is None:
                self._entry.disconnected = time.monotonic()

    async def _take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                await self._agree(event["session"])
            case "input_audio_buffer.append":
                await self._hear(base64.b64decode(event["audio"]))
            case "input_audio_buffer.commit":
                await self._transcribe()

    async def _agree(self, session: dict[str, Any]) -> None:
        asked = session["audio"]["input"]
        self._entry.asked = {**asked["transcription"], **self._socket.query_params}
        if self._script.refuse in asked["transcription"]:
            said = f"Unsupported parameter: '{self._script.refuse}'. The session was {session}."
            error = {"type": "invalid_request_error", "code": "unknown_parameter", "message": said}
            await self._tell("error", error=error)
        elif self._script.fault == "takes_turns":
            taking = {**asked, "turn_detection": {"type": "server_vad"}}
            await self._tell("session.updated", session={**session, "audio": {"input": taking}})
        elif self._script.fault != "deaf":
            await self._tell("session.updated", session=session)

    async def _hear(self, pcm: bytes) -> None:
        self._heard_s += len(pcm) / 2 / RATE
        self._entry.asked["audio_s"] = round(self._heard_s, 3)
        due = int(self._heard_s * self._script.stt_words_per_s)
        if self._script.stt_captions and self._socket.query_params.get("repartee") == "1":
            words = self._script.transcript.split(" ")
            for count in range(self._pieces + 1, min(due, len(words)) + 1):
                await self._piece("repartee.partial", text=" ".join(words[:count]))
            return
        for word in islice(self._words, max(0, due - self._pieces)):
            await self._piece(f"{WORDS}.delta", delta=word)

    async def _transcribe(self) -> None:
        self._entry.body = time.monotonic()
        await self._tell("input_audio_buffer.committed", item_id="item_1", previous_item_id=None)
        await until(self._entry.body + self._script.stt_ms / 1000)
        for word in self._words:
            await self._piece(f"{WORDS}.delta", delta=word)
        if self._script.fault == "failed":
            await self._piece(f"{WORDS}.failed", error={"message": self._script.transcript})
        else:
            await self._piece(f"{WORDS}.completed", transcript=self._script.transcript, usage=None)
        self._entry.last_byte = time.monotonic()

    async def _piece(self, kind: str, **fields: Any) -> None:
        """One more piece of the answer, or the fault that comes in its place."""
        number, self._pieces = self._pieces, self._pieces + 1
        if number == self._script.fault_after:
            match self._script.fault:
                case "stall":
                    while True:
                        await self._socket.receive_text()
                case "garbage":
                    await self._socket.send_text('{"type": "conver')
                case "disconnect":
                    await self._socket.close(1011)
                    raise WebSocketDisconnect
                case "error":
                    await self._tell("error", error={"type": "server_error", "message": self._script.transcript})
        if self._entry.first_byte is None:
            self._entry.first_byte = time.monotonic()
        await self._tell(kind, item_id="item_1", content_index=0, **fields)

    async def _tell(self, kind: str, **fields: Any) -> None:
        await self._socket.send_text(json.dumps({"type": kind, "event_id": "event_1", **fields}))
