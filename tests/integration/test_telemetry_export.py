from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from telemetry.models import Turn
from telemetry.outbox import Outbox
from telemetry.services import store_turns
from tests.fakes.collector import Collector, attributes, collector
from tests.processes import free_port
from tests.unit.telemetry.turns import SPOKEN, STARTED_NS, turn

pytestmark = pytest.mark.django_db
CANARY = "canary-sk-live-4711"


@pytest.fixture
def receiver() -> Iterator[Collector]:
    with collector() as running:
        yield running


def due_again() -> None:
    Turn.objects.update(export_after=timezone.now())


def export(receiver: Collector) -> str:
    out = io.StringIO()
    call_command("telemetry_export", endpoint=receiver.url, once=True, stdout=out)
    return out.getvalue()


def states() -> list[tuple[str, int]]:
    return list(Turn.objects.order_by("index").values_list("export_state", "export_attempts"))


def test_a_turn_arrives_as_a_tree_of_spans(receiver: Collector) -> None:
    marks = {**SPOKEN, "tool[0].start": 2321, "tool[0].end": 2325, "bi_speech_start": 4000, "bi_flushed": 4200}
    facts: dict[str, str | float] = {
        "stt_model": "base.en",
        "llm_model": "any",
        "llm_provider": "lab",
        "tts_voice": "alloy",
        "input_tokens": 7,
    }
    trace = turn(marks, facts, kind="tool", end_reason="interrupted")
    store_turns([trace])
    assert export(receiver) == "acknowledged: 1, refused: 0, still pending: 0\n"
    root, *children = receiver.spans
    assert root.name == "invoke_agent guide"
    assert root.trace_id.hex() == trace.trace_id
    assert root.span_id.hex() == trace.span_id
    assert root.start_time_unix_nano == STARTED_NS
    assert root.end_time_unix_nano == STARTED_NS + 4_900_000_000
    names = [
        "voice.vad",
        "voice.endpointing",
        "speech_to_text base.en",
        "chat any",
        "execute_tool",
        "text_to_speech",
        "voice.playback",
        "voice.interruption",
    ]
    assert [child.name for child in children] == names
    assert {child.parent_span_id for child in children} == {root.span_id}
    assert len({span.span_id for span in receiver.spans}) == len(receiver.spans)
    about = attributes(root)
    assert about["gen_ai.conversation.id"] == "sess_test"
    assert about["gen_ai.usage.input_tokens"] == 7
    assert about["voice.latency.voice_to_voice"] == 0.85
    path = [value for name, value in about.items() if name.startswith("voice.critical_path.")]
    assert sum(path) == pytest.approx(0.85)
    chat = next(child for child in children if child.name == "chat any")
    assert chat.kind == chat.SPAN_KIND_CLIENT
    assert attributes(chat)["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.12)
    assert next(child for child in children if child.name == "voice.vad").kind == chat.SPAN_KIND_INTERNAL


@pytest.mark.parametrize(
    ("provider", "network"), [("lab", True), ("local", True), ("embedded", False), ("scripted", False)]
)
def test_calls_over_the_network_are_client_spans(receiver: Collector, provider: str, network: bool) -> None:
    facts = {f"{part}_provider": provider for part in ("stt", "llm", "tts")}
    store_turns([turn({**SPOKEN, "retrieval.start": 2321, "retrieval.end": 2328}, facts)])
    export(receiver)
    kinds = {span.name: span.kind for span in receiver.spans}
    expected = receiver.spans[0].SPAN_KIND_CLIENT if network else receiver.spans[0].SPAN_KIND_INTERNAL
    calls = [kinds.pop(name) for name in ("speech_to_text", "chat", "text_to_speech")]
    assert calls == [expected] * 3
    assert set(kinds.values()) == {receiver.spans[0].SPAN_KIND_INTERNAL}


def test_tools_and_documents_are_named(receiver: Collector) -> None:
    marks = {**SPOKEN, "tool[0].start": 2321, "tool[0].end": 2325, "retrieval.start": 2330, "retrieval.end": 2337}
    store_turns([turn(marks, {"tool[0].name": "time", "retrieval_source": "tea,coffee"})])
    export(receiver)
    named = {span.name: span for span in receiver.spans}
    assert attributes(named["execute_tool time"])["gen_ai.tool.name"] == "time"
    retrieval = named["retrieval tea,coffee"]
    assert attributes(retrieval)["gen_ai.data_source.id"] == "tea,coffee"
    assert retrieval.end_time_unix_nano - retrieval.start_time_unix_nano == 7_000_000


def test_a_turn_past_its_retention_is_not_sent(receiver: Collector) -> None:
    store_turns([turn(), turn(index=1)])
    Turn.objects.filter(index=0).update(trace=None)
    assert export(receiver) == "acknowledged: 1, refused: 0, still pending: 0\n"


def test_an_error_is_marked_by_its_class_and_nothing_more(receiver: Collector) -> None:
    store_turns(
        [
            turn(facts={"error_type": "ProviderTimeout"}, end_reason="error"),
            turn(facts={"error_type": f"failed: {CANARY}"}, end_reason="error", index=1),
        ]
    )
    export(receiver)
    roots = [span for span in receiver.spans if not span.parent_span_id]
    assert [attributes(root)["error.type"] for root in roots] == ["ProviderTimeout", "_OTHER"]
    assert all(root.status.code == root.status.STATUS_CODE_ERROR for root in roots)


def test_no_word_and_no_secret_leaves(receiver: Collector) -> None:
    marks = {**SPOKEN, f"{CANARY}-mark": 5}
    facts = {
        "transcript": CANARY,
        "text": CANARY,
        "api_key": CANARY,
        f"{CANARY}_name": "x",
        "error_type": f"no {CANARY}",
    }
    store_turns([turn(marks, facts), turn(marks, facts, index=1, end_reason="error")])
    export(receiver)
    assert receiver.spans
    assert not [body for body in receiver.bodies if CANARY.encode() in body]


def test_a_collector_that_is_down_loses_nothing() -> None:
    """Down, up, overloaded in the middle: every turn arrives, and what was acknowledged is known."""
    port = free_port()
    store_turns(turn(index=n) for n in range(200))
    with pytest.raises(CommandError, match="not available"):
        call_command("telemetry_export", endpoint=f"http://127.0.0.1:{port}/v1/traces", once=True)
    assert states()[:2] == [("pending", 1)] * 2
    assert Turn.objects.filter(export_after__gt=timezone.now()).count() == 64
    due_again()
    with collector(port) as receiver:
        receiver.answers = [200, 503]
        with pytest.raises(CommandError):
            export(receiver)
        assert Turn.objects.filter(export_state="acknowledged").count() == 64
        due_again()
        assert export(receiver) == "acknowledged: 136, refused: 0, still pending: 0\n"
        roots = [span for span in receiver.spans if not span.parent_span_id]
        assert sorted(attributes(root)["voice.turn.index"] for root in roots) == list(range(200))
        export(receiver)
        assert len([span for span in receiver.spans if not span.parent_span_id]) == 200


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_collector_that_is_set_up_wrong_refuses_no_turn(receiver: Collector, status: int) -> None:
    store_turns([turn()])
    receiver.answers = [status]
    with pytest.raises(CommandError):
        export(receiver)
    assert states() == [("pending", 1)]


def test_pauses_double_up_to_five_minutes() -> None:
    store_turns([turn()])
    pauses = []
    with Outbox(f"http://127.0.0.1:{free_port()}/v1/traces") as outbox:
        for _ in range(11):
            due_again()
            assert outbox.export_due().postponed == 1
            pauses.append(round((Turn.objects.get().export_after - timezone.now()) / timedelta(seconds=1)))
        assert outbox.export_due().postponed == 0
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_turn_the_collector_refuses_does_not_hold_back_the_others(receiver: Collector) -> None:
    traces = [turn(index=n) for n in range(5)]
    store_turns(traces)
    receiver.refuse = bytes.fromhex(traces[2].trace_id)
    assert export(receiver) == "acknowledged: 4, refused: 1, still pending: 0\n"
    assert states() == [
        ("acknowledged", 1),
        ("acknowledged", 1),
        ("rejected", 1),
        ("acknowledged", 1),
        ("acknowledged", 1),
    ]


def test_a_resent_turn_has_the_same_ids(receiver: Collector) -> None:
    store_turns([turn()])
    export(receiver)
    Turn.objects.update(export_state="pending")
    export(receiver)
    half = len(receiver.spans) // 2
    assert receiver.spans[:half] == receiver.spans[half:]


def test_storing_again_leaves_the_export_state(receiver: Collector) -> None:
    store_turns([turn()])
    export(receiver)
    store_turns([turn(facts={"llm_model": "other"})])
    assert states() == [("acknowledged", 1)]
