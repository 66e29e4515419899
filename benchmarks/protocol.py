"""What the Realtime protocol costs for one message: python -m benchmarks.protocol"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from timeit import repeat

from agents.audio import Audio
from agents.spec import AgentSpec, Override
from sessions.pipeline import messages as core
from sessions.protocols.realtime import RealtimeProtocol
from sessions.protocols.realtime_audio import AudioFormat

CALLS = 3_000
MAY_CHANGE: tuple[Override, ...] = ("formats",)


def speaking(form: AudioFormat) -> RealtimeProtocol:
    """A protocol in the middle of a spoken response."""
    protocol = RealtimeProtocol(AgentSpec(slug="guide"), session_id="sess_1", allowed=MAY_CHANGE)
    protocol.open()
    update = {"type": "session.update", "session": {"audio": {"output": {"format": {"type": form}}}}}
    (command,) = protocol.decode(json.dumps(update)).commands
    assert isinstance(command, core.Configure)
    message = core.MessageItem("item_1", "assistant")
    protocol.encode(core.Configured(command.config))
    protocol.encode(core.ResponseStarted("resp_1", core.ResponseOptions(), "audio", "", None))
    protocol.encode(core.OutputStarted("resp_1", message, 0, "audio", True, None))
    return protocol


def report(what: str, call: Callable[[], object]) -> None:
    best = min(repeat(call, number=CALLS, repeat=5)) / CALLS
    print(f"{what:<48} {best * 1e6:7.1f} µs")


def main() -> None:
    forms: tuple[tuple[AudioFormat, int], ...] = (("audio/pcm", 24_000), ("audio/pcm", 16_000), ("audio/pcmu", 24_000))
    for form, rate in forms:
        protocol = speaking(form)
        event = core.AudioOut("resp_1", "item_1", 0, Audio(os.urandom(2 * rate // 10), rate))
        report(f"encode 100 ms of audio, {rate} Hz to {form}", lambda p=protocol, e=event: p.encode(e))  # type: ignore[misc]
    protocol = speaking("audio/pcm")
    report("encode a text delta", lambda: protocol.encode(core.TextOut("resp_1", "item_1", 0, "hello ")))
    append = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(os.urandom(4_800)).decode()})
    report("decode 100 ms of audio", lambda: protocol.decode(append))


if __name__ == "__main__":
    main()
