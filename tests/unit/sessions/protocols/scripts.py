"""What the core says in typical exchanges, for the golden tests and the check of event types."""

from __future__ import annotations

from agents.audio import Audio
from agents.interfaces import Source, Usage
from sessions.pipeline import messages as core

Event = core.Event
VOICE = ""
TONE = Audio(bytes(range(16)), 24_000)
USED = Usage(input_tokens=30, output_tokens=7, cached_tokens=10)


def started(
    response: str = "resp_a", *, options: core.ResponseOptions | None = None, modality: core.Modality = "audio"
) -> Event:
    return core.ResponseStarted(response, options or core.ResponseOptions(), modality, VOICE, None)


def ended(
    *output: core.MessageItem | core.CallItem,
    response: str = "resp_a",
    status: str = "completed",
    options: core.ResponseOptions | None = None,
    modality: core.Modality = "audio",
    audio_ms: int = 0,
    reason: str | None = None,
    error: str | None = None,
) -> Event:
    return core.ResponseDone(
        response,
        status,  # type: ignore[arg-type]  # each test names one of the statuses
        output,
        USED,
        audio_ms,
        options or core.ResponseOptions(),
        modality,
        VOICE,
        None,
        reason,
        error,
    )


def message(
    text: str = "", *, modality: core.Modality = "audio", status: core.ItemStatus = "completed"
) -> core.MessageItem:
    part = core.Content("audio", transcript=text) if modality == "audio" else core.Content("text", text=text)
    return core.MessageItem("item_r", "assistant", (part,) if text else (), status)


def spoken_user(transcript: str | None = None) -> core.MessageItem:
    return core.MessageItem("item_u", "user", (core.Content("audio", transcript=transcript),))


VOICE_TURN: list[Event] = [
    core.SpeechStarted("item_u", 200),
    core.SpeechStopped("item_u", 1_400),
    core.AudioCommitted("item_u", None),
    core.ItemAdded(spoken_user(), None),
    core.ItemDone(spoken_user(), None),
    core.TranscriptDelta("item_u", "What is a turn?"),
    core.TranscriptCompleted("item_u", "What is a turn?", 1.2),
    started(),
    core.OutputStarted("resp_a", message(status="in_progress"), 0, "audio", True, "item_u"),
    core.TextOut("resp_a", "item_r", 0, "One "),
    core.AudioOut("resp_a", "item_r", 0, TONE, "turn_1", 33_600),
    core.TextOut("resp_a", "item_r", 0, "exchange."),
    core.AudioOut("resp_a", "item_r", 0, TONE),
    core.OutputDone("resp_a", message("One exchange."), 0, "audio", True, "item_u"),
    ended(message("One exchange."), audio_ms=500),
]

TEXT_RESPONSE: list[Event] = [
    started(modality="text"),
    core.OutputStarted("resp_a", message(status="in_progress", modality="text"), 0, "text", True, None),
    core.TextOut("resp_a", "item_r", 0, "Hello "),
    core.TextOut("resp_a", "item_r", 0, "there."),
    core.OutputDone("resp_a", message("Hello there.", modality="text"), 0, "text", True, None),
    ended(message("Hello there.", modality="text"), modality="text"),
]

CALL = core.CallItem("item_f", "call_1", "weather", '{"city":"Kiel"}')
FUNCTION_CALL: list[Event] = [
    started(),
    core.OutputStarted(
        "resp_a", core.CallItem("item_f", "call_1", "weather", "", "in_progress"), 0, "audio", True, "item_u"
    ),
    core.OutputDone("resp_a", CALL, 0, "audio", True, "item_u"),
    ended(CALL),
    core.ItemAdded(core.CallOutputItem("item_o", "call_1", "rain"), "item_f"),
    core.ItemDone(core.CallOutputItem("item_o", "call_1", "rain"), "item_f"),
]

CUT = message("Once upon a", status="incomplete")
BARGE_IN: list[Event] = [
    started(),
    core.OutputStarted("resp_a", message(status="in_progress"), 0, "audio", True, "item_u"),
    core.TextOut("resp_a", "item_r", 0, "Once upon a time"),
    core.AudioOut("resp_a", "item_r", 0, TONE),
    core.SpeechStarted("item_v", 9_000),
    core.OutputDone("resp_a", CUT, 0, "audio", True, "item_u"),
    ended(CUT, status="cancelled", reason="turn_detected", audio_ms=100),
    core.AudioOut("resp_a", "item_r", 0, TONE),
    core.ItemTruncated("item_r", 80),
]

ASIDE = core.ResponseOptions(metadata={"topic": "mood"}, in_conversation=False)
OUT_OF_BAND: list[Event] = [
    started("resp_b", options=ASIDE, modality="text"),
    core.OutputStarted("resp_b", message(status="in_progress", modality="text"), 0, "text", False, None),
    core.TextOut("resp_b", "item_r", 0, "cheerful"),
    core.OutputDone("resp_b", message("cheerful", modality="text"), 0, "text", False, None),
    ended(message("cheerful", modality="text"), response="resp_b", options=ASIDE, modality="text"),
]

FAILURES: list[Event] = [
    core.ErrorOccurred("Cancellation failed: no response is running.", "response_cancel_not_active", None, "event_7"),
    core.ErrorOccurred("The model is overloaded.", "server_error", None, None, "server_error"),
    started(),
    ended(status="failed", reason="provider_failed", error="The model did not answer."),
    started(),
    ended(status="incomplete", reason="max_output_tokens"),
    core.TranscriptFailed("item_u", "The recogniser did not answer."),
]

REST: list[Event] = [
    core.AudioCleared(),
    core.IdleTimedOut("item_i", 1_000, 6_000),
    core.ItemRetrieved(spoken_user("hello"), TONE),
    core.ItemRetrieved(core.MessageItem("item_s", "system", (core.Content("text", text="x"),)), None),
    core.ItemAdded(core.MessageItem("item_p", "user", (core.Content("image"),)), "item_s"),
    core.ItemDeleted("item_s"),
    core.SessionEnded("expired"),
    core.SessionEnded("closed"),
]

EXTENSIONS: list[Event] = [
    core.TranscriptPartial("item_u", "What is"),
    core.ReplyHeld("resp_a", True),
    core.ReplyHeld("resp_a", False),
    core.SourceShown("resp_a", "item_r", Source("Turns", "A turn is one exchange.", "https://example.org")),
    core.TurnClosed({"turn_id": "turn_1"}),
]

SCRIPTS: dict[str, list[Event]] = {
    "voice_turn": VOICE_TURN,
    "text_response": TEXT_RESPONSE,
    "function_call": FUNCTION_CALL,
    "barge_in": BARGE_IN,
    "out_of_band": OUT_OF_BAND,
    "failures": FAILURES,
    "rest": REST,
}
