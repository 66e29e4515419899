"""Audio on its way out, and the edges of what is sent."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from agents import g711
from agents.audio import Audio
from sessions.pipeline import messages as core
from sessions.protocols.realtime_audio import AudioFormat, base64_chars, encode, to_base64
from tests.unit.sessions.protocols.helpers import Client
from tests.unit.sessions.protocols.scripts import VOICE_TURN, ended, message, started


def tone(ms: int, rate: int) -> Audio:
    phase = np.arange(ms * rate // 1_000, dtype=np.float32) * np.float32(2 * np.pi * 440 / rate)
    return Audio.from_float((np.sin(phase) / 2).astype(np.float32), rate)


def opened(client: Client) -> None:
    client.sees(started(), core.OutputStarted("resp_a", message(), 0, "audio", True, None))


def audio_of(events: list[dict[str, Any]]) -> bytes:
    return b"".join(base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta")


def spoken(client: Client, audio: Audio, *, status: core.ItemStatus = "completed") -> bytes:
    opened(client)
    deltas = client.sees(*(core.AudioOut("resp_a", "item_r", 0, piece) for piece in audio.split(20)))
    last = client.sees(core.OutputDone("resp_a", message(status=status), 0, "audio", True, None))
    return audio_of(deltas + last)


def test_audio_at_the_wires_rate_is_passed_on_untouched() -> None:
    clip = tone(200, 24_000)

    assert spoken(Client(), clip) == clip.pcm


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_another_rate_is_resampled_without_seams(rate: int) -> None:
    heard = Audio(spoken(Client(), tone(500, rate)), 24_000)
    wanted = tone(500, 24_000).float32()

    assert heard.samples == pytest.approx(12_000, abs=2)
    error = heard.float32()[240:11_760] - wanted[240:11_760]
    assert np.abs(error).max() < 0.02


@pytest.mark.parametrize(("form", "law"), [("audio/pcmu", "mu"), ("audio/pcma", "a")])
def test_a_telephone_hears_its_own_law(form: str, law: g711.Law) -> None:
    client = Client()
    client.updates(audio={"output": {"format": {"type": form}}})
    heard = g711.decode(spoken(client, tone(500, 24_000)), law)

    assert heard.samples == pytest.approx(4_000, abs=2)
    error = heard.float32()[80:3_920] - tone(500, 8_000).float32()[80:3_920]
    assert np.abs(error).max() < 0.05


def test_what_the_filter_holds_back_is_not_sent_after_a_barge_in() -> None:
    whole, cut = spoken(Client(), tone(100, 16_000)), spoken(Client(), tone(100, 16_000), status="incomplete")

    assert len(cut) < len(whole)


def test_the_turns_timing_waits_for_the_first_delta_that_has_audio() -> None:
    client = Client(extensions=True)
    opened(client)
    nothing = client.sees(core.AudioOut("resp_a", "item_r", 0, Audio(b"", 24_000), "turn_1", 7))
    deltas = client.sees(*(core.AudioOut("resp_a", "item_r", 0, tone(20, 24_000)) for _ in range(2)))

    assert nothing == []
    assert [(d.get("turn_id"), d.get("user_end_sample")) for d in deltas] == [("turn_1", 7), (None, None)]


def test_a_response_keeps_the_format_it_began_with() -> None:
    client = Client()
    opened(client)
    client.updates(audio={"output": {"format": {"type": "audio/pcmu"}}})
    clip = tone(20, 24_000)

    assert audio_of(client.sees(core.AudioOut("resp_a", "item_r", 0, clip))) == clip.pcm


def test_late_output_is_dropped() -> None:
    client = Client()
    client.sees(*VOICE_TURN)

    assert client.sees(core.TextOut("resp_a", "item_r", 0, "x")) == []
    assert client.sees(core.AudioOut("resp_a", "item_r", 0, tone(20, 24_000))) == []


def test_retrieved_audio_is_in_the_format_of_its_side() -> None:
    client = Client()
    client.updates(audio={"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcm"}}})
    theirs = core.MessageItem("u", "user", (core.Content("audio", transcript="x"),))
    ours = core.MessageItem("a", "assistant", (core.Content("audio", transcript="x"),))
    answers = client.sees(*(core.ItemRetrieved(item, tone(100, 24_000)) for item in (theirs, ours)))

    assert [len(base64.b64decode(a["item"]["content"][0]["audio"])) for a in answers] == [800, 4_800]


def test_audio_too_long_for_a_clients_frame_is_left_out() -> None:
    item = core.MessageItem("u", "user", (core.Content("audio", transcript="x"),))
    client = Client()
    (short,) = client.protocol.encode(core.ItemRetrieved(item, Audio.silence(15_000, 24_000)))
    (long,) = client.protocol.encode(core.ItemRetrieved(item, Audio.silence(60_000, 24_000)))

    assert len(str(short)) < 1024 * 1024
    assert "audio" in json.loads(str(short))["item"]["content"][0]
    assert "audio" not in json.loads(str(long))["item"]["content"][0]


@pytest.mark.parametrize("form", ["audio/pcm", "audio/pcmu", "audio/pcma"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000])
@pytest.mark.parametrize("ms", [0, 7, 1_000])
def test_how_long_audio_will_be_is_known_before_it_is_made(form: AudioFormat, rate: int, ms: int) -> None:
    clip = tone(ms, rate)

    assert abs(base64_chars(clip, form) - len(to_base64(encode(clip, form)))) <= 8


def test_half_an_emoji_is_sent_as_an_escape() -> None:
    client = Client()
    opened(client)
    halves = [
        str(text)
        for half in "\ud83d\ude42"
        for text in client.protocol.encode(core.TextOut("resp_a", "item_r", 0, half))
    ]

    assert (
        "".join(json.loads(text)["delta"] for text in halves).encode("utf-16", "surrogatepass").decode("utf-16") == "🙂"
    )


def test_a_voice_is_shown_by_the_name_its_client_used() -> None:
    client = Client()
    client.updates(audio={"output": {"voice": "ash"}})
    (created,) = client.sees(started())
    (done,) = client.sees(ended())

    assert created["response"]["audio"]["output"]["voice"] == "ash"
    assert done["response"]["audio"]["output"]["voice"] == "ash"


def test_metadata_comes_back() -> None:
    options = core.ResponseOptions(metadata={"client_event_id": "x"})
    created, done = Client().sees(started(options=options), ended(options=options))

    assert created["response"]["metadata"] == done["response"]["metadata"] == {"client_event_id": "x"}


def test_usage_counts_text_and_audio() -> None:
    done = Client().sees(started(), ended(audio_ms=1_000, status="cancelled"))[-1]

    assert done["response"]["usage"] == {
        "total_tokens": 57,
        "input_tokens": 30,
        "output_tokens": 27,
        "input_token_details": {
            "text_tokens": 30,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 10,
            "cached_tokens_details": {"text_tokens": 10, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": 7, "audio_tokens": 20},
    }
