"""How frames go out and what comes back: OpenAI's Realtime events, or Pipecat's protobuf frames."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from websockets.frames import Opcode

from benchmarks.load import protobuf
from benchmarks.load.plan import Plan

Kind = Literal["ready", "audio", "reply", "speech", "silence", "hold", "done", "error"]


@dataclass(frozen=True, slots=True)
class Heard:
    """`ready`: it listens. `audio`: `ms` of speech. `reply`: a new one begins. `speech`, `silence`: what its turn
    detection found; a client clears its loudspeaker at `speech`. `hold`: the reply waits. `done`: it is over."""

    kind: Kind
    ms: float = 0.0
    detail: str = ""


class Dialect(Protocol):
    """`rate` is in Hz, both ways."""

    rate: int
    opcode: Opcode
    greets: bool
    """Whether the server says `ready` before it listens."""
    said: bytes
    """A message that follows an utterance's last frame, if any: for a server that does not hear its end."""

    def address(self, plan: Plan) -> tuple[str, Mapping[str, str]]:
        """URI and headers of the handshake."""

    def frame(self, pcm: bytes) -> bytes:
        """One message with 20 ms of microphone."""

    def hear(self, message: bytes) -> Heard | None:
        """What a message means, if anything here."""


class Realtime:
    rate: int = 24_000
    opcode = Opcode.TEXT
    greets = True
    said: bytes = b""

    _AUDIO: Final = b'"response.output_audio.delta"'
    _DELTA: Final = b'"delta":"'
    _KINDS: Final[Mapping[str, Kind]] = {
        "session.created": "ready",
        "response.created": "reply",
        "response.done": "done",
        "input_audio_buffer.speech_started": "speech",
        "input_audio_buffer.speech_stopped": "silence",
        "error": "error",
    }

    def address(self, plan: Plan) -> tuple[str, Mapping[str, str]]:
        more = "&repartee=1" if plan.extensions else ""
        return f"{plan.url}/v1/realtime?model={plan.agent}{more}", {"Authorization": f"Bearer {plan.key}"}

    def frame(self, pcm: bytes) -> bytes:
        return b'{"type":"input_audio_buffer.append","audio":"%s"}' % base64.b64encode(pcm)

    def hear(self, message: bytes) -> Heard | None:
        if self._AUDIO in message[:100]:  # far the most frequent: its length is enough
            start = message.index(self._DELTA) + len(self._DELTA)
            characters = message.index(b'"', start) - start
            return Heard("audio", characters * 3 / 4 / (2 * self.rate) * 1000)
        event = json.loads(message)
        if event["type"] == "repartee.hold":
            return Heard("hold") if event["state"] == "held" else None
        kind = self._KINDS.get(event["type"])
        return Heard(kind, detail=_why(event)) if kind else None


def _why(event: dict[str, dict[str, str]]) -> str:
    return event.get("error", {}).get("message", "")


class Relay(Realtime):
    """What `benchmarks.relay` understands."""

    said = b'{"type":"input_audio_buffer.commit"}'


class Pipecat:
    """Its `ProtobufFrameSerializer`: a Frame holds a text (1), audio (2), a transcription (3), a message (4) or an
    interruption (5); audio is bytes (3) at a rate in Hz (4) on some channels (5). Messages are RTVI's, in JSON."""

    rate: int = 16_000
    opcode = Opcode.BINARY
    greets = False
    said: bytes = b""

    _KINDS: Final[Mapping[str, Kind]] = {
        "bot-llm-started": "reply",
        "user-stopped-speaking": "silence",
        "error": "error",
    }

    def address(self, plan: Plan) -> tuple[str, Mapping[str, str]]:
        return f"{plan.url}/ws", {}

    def frame(self, pcm: bytes) -> bytes:
        return protobuf.encoded({2: protobuf.encoded({3: pcm, 4: self.rate, 5: 1})})

    def hear(self, message: bytes) -> Heard | None:
        match protobuf.decoded(message):
            case {2: bytes(audio)}:
                raw = protobuf.decoded(audio)
                return Heard("audio", len(raw[3]) / (2 * raw[4]) * 1000)
            case {5: _}:
                return Heard("speech")
            case {4: bytes(text)}:
                event = json.loads(protobuf.decoded(text)[1])
                kind = self._KINDS.get(event["type"])
                return Heard(kind, detail=str(event.get("data", ""))) if kind else None
        return None


def dialect(plan: Plan) -> Dialect:
    match plan.dialect:
        case "realtime":
            return Realtime()
        case "relay":
            return Relay()
        case "pipecat":
            return Pipecat()
