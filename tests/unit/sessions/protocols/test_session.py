"""The session object: how updates merge, and how the core's configuration follows."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from openai.types.realtime import RealtimeSessionCreateRequest

from agents.interfaces import Hints, ToolSpec
from agents.spec import AgentSpec, STTSpec, TTSSpec, TurnDetection
from sessions.pipeline import messages as core
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.window import Truncation
from tests.unit.sessions.protocols.helpers import EXPIRES_AT, GUIDE, Client

SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD = {"type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True}
DEFAULT = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_1",
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "instructions": "Be brief.",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "expires_at": EXPIRES_AT,
    "include": None,
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": SERVER_VAD,
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin", "speed": 1.0},
    },
}
FUNCTION = {"type": "function", "name": "weather", "description": "d", "parameters": {"type": "object"}}


def changed(**paths: Any) -> dict[str, Any]:
    """The default session with some fields replaced; "__" stands for a dot."""
    session = copy.deepcopy(DEFAULT)
    for path, value in paths.items():
        *outer, last = path.split("__")
        place: Any = session
        for name in outer:
            place = place[name]
        place[last] = value
    return session


def nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split("__")):
        value = {name: value}
    result: dict[str, Any] = value
    return result


def config_of(client: Client, **session: Any) -> core.SessionConfig:
    command = client.asks("session.update", session=session)
    assert isinstance(command, core.Configure)
    return command.config


def test_a_session_opens_with_all_its_fields() -> None:
    created = Client().created

    assert (created["type"], created["session"]) == ("session.created", DEFAULT)


def test_the_core_is_configured_from_the_start() -> None:
    assert Client().opening == [core.Configure(core.SessionConfig(instructions="Be brief."))]


def test_the_model_is_the_agent_if_the_client_named_none() -> None:
    assert Client(model=None).created["session"]["model"] == "guide"


@pytest.mark.parametrize(
    ("path", "given", "shown"),
    [
        ("model", "another", "gpt-realtime"),
        ("output_modalities", ["text"], ["text"]),
        ("instructions", "", ""),
        ("tools", [FUNCTION], [FUNCTION]),
        ("tools", [{"type": "function", "name": "f"}], [{"type": "function", "name": "f"}]),
        ("tool_choice", "required", "required"),
        ("tool_choice", {"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        ("max_output_tokens", 4096, 4096),
        ("max_output_tokens", "inf", "inf"),
        ("tracing", "auto", "auto"),
        ("tracing", {"workflow_name": "w", "metadata": {"a": 1}}, {"workflow_name": "w", "metadata": {"a": 1}}),
        ("truncation", "disabled", "disabled"),
        (
            "truncation",
            {"type": "retention_ratio", "retention_ratio": 0.5},
            {"type": "retention_ratio", "retention_ratio": 0.5},
        ),
        ("include", ["item.input_audio_transcription.logprobs"], ["item.input_audio_transcription.logprobs"]),
        ("audio__input__format", {"type": "audio/pcmu"}, {"type": "audio/pcmu"}),
        ("audio__input__format", {"type": "audio/pcm"}, {"type": "audio/pcm", "rate": 24_000}),
        ("audio__output__format", {"type": "audio/pcma"}, {"type": "audio/pcma"}),
        (
            "audio__input__transcription",
            {"model": "gpt-4o-mini-transcribe", "language": "en", "delay": "low"},
            {"model": "gpt-4o-mini-transcribe", "language": "en"},
        ),
        ("audio__input__noise_reduction", {"type": "far_field"}, {"type": "far_field"}),
        ("audio__input__noise_reduction", {}, None),
        ("audio__input__turn_detection", None, None),
        ("audio__input__turn_detection", {"type": "semantic_vad"}, SEMANTIC_VAD),
        (
            "audio__input__turn_detection",
            {"type": "semantic_vad", "eagerness": "low", "model_version": "x"},
            {**SEMANTIC_VAD, "eagerness": "low"},
        ),
        (
            "audio__input__turn_detection",
            {"type": "server_vad", "threshold": 0.7, "create_response": None, "interrupt_response": False},
            {**SERVER_VAD, "threshold": 0.7, "interrupt_response": False},
        ),
        ("audio__output__voice", "ash", "ash"),
        ("audio__output__voice", {"id": "voice_1"}, "voice_1"),
        ("audio__output__speed", 1.25, 1.25),
    ],
)
def test_one_field_changes_and_no_other(path: str, given: Any, shown: Any) -> None:
    assert Client().updates(**nested(path, given)) == changed(**{path: shown})


@pytest.mark.parametrize(
    "path",
    [
        "instructions",
        "tools",
        "tool_choice",
        "max_output_tokens",
        "output_modalities",
        "truncation",
        "prompt",
        "audio",
        "audio__input",
        "audio__input__format",
        "audio__output__format",
        "audio__output__voice",
        "audio__output__speed",
    ],
)
def test_a_null_that_means_leave_it_leaves_it(path: str) -> None:
    client = Client()
    before = client.updates(tools=[FUNCTION], audio={"output": {"speed": 1.5, "voice": "ash"}})

    assert client.updates(**nested(path, None)) == before


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("tracing", "auto"),
        ("include", ["item.input_audio_transcription.logprobs"]),
        ("audio__input__turn_detection", {"type": "semantic_vad"}),
        ("audio__input__transcription", {"model": "whisper-1"}),
        ("audio__input__noise_reduction", {"type": "near_field"}),
    ],
)
def test_a_null_that_means_off_switches_off(path: str, value: Any) -> None:
    client = Client()
    client.updates(**nested(path, value))

    assert client.updates(**nested(path, None)) == changed(**{path: None})


def test_unknown_fields_are_passed_over() -> None:
    assert Client().updates(temperature=0.8, audio={"input": {"gain": 3}, "extra": {}}, whatever=[1]) == DEFAULT


def test_unknown_fields_are_kept_for_the_log_by_name_and_not_without_end() -> None:
    client = Client()
    client.updates(id="sess_1", object="realtime.session", expires_at=5, colour="red", temperature=0.8)
    client.updates(colour="blue")
    assert client.protocol.unknown == {"colour", "temperature"}

    client.updates(**{f"{'x' * 100}{n}"[-100:]: n for n in range(100)}, **{"y" * 100: 0})
    assert len(client.protocol.unknown) <= 32
    assert max(map(len, client.protocol.unknown)) <= 64


def test_a_refused_update_has_no_unknown_fields() -> None:
    client = Client()
    client.is_refused("session.update", session={"colour": "red", "tool_choice": "perhaps"})

    assert client.protocol.unknown == set()


def test_turn_detection_is_replaced_whole() -> None:
    client = Client()
    client.updates(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}})

    shown = client.updates(audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 700}}})

    assert shown["audio"]["input"]["turn_detection"] == {**SERVER_VAD, "silence_duration_ms": 700}


def test_what_a_client_leaves_out_of_turn_detection_is_the_agents() -> None:
    spec = AgentSpec(slug="guide", turn_detection=TurnDetection(silence_duration_ms=300, threshold=0.6))
    shown = Client(spec).updates(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}})

    assert shown["audio"]["input"]["turn_detection"] == {**SERVER_VAD, "silence_duration_ms": 300, "threshold": 0.9}


def test_the_effective_session_is_one_of_openais() -> None:
    shown = Client().updates(tools=[FUNCTION], tracing="auto", reasoning={"effort": "low"}, parallel_tool_calls=False)
    parsed = RealtimeSessionCreateRequest.model_validate(shown)

    assert parsed.audio is not None
    assert parsed.audio.input is not None
    assert parsed.audio.input.turn_detection is not None
    assert parsed.audio.input.turn_detection.interrupt_response is True
    assert shown["reasoning"] == {"effort": "low"}
    assert shown["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": "other"}, "invalid_value", "session.type"),
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": []}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": "audio"}, "invalid_type", "session.output_modalities"),
        ({"instructions": 3}, "invalid_type", "session.instructions"),
        ({"instructions": "x" * 51}, "invalid_value", "session.instructions"),
        ({"tools": [FUNCTION] * 3}, "invalid_value", "session.tools"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "invalid_value", "session.tools[0].type"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        ({"tool_choice": "perhaps"}, "invalid_value", "session.tool_choice"),
        ({"max_output_tokens": 5_000}, "invalid_value", "session.max_output_tokens"),
        ({"prompt": {"id": "pmpt_1"}}, "invalid_value", "session.prompt.id"),
        (
            {"audio": {"input": {"transcription": {"prompt": "x" * 4_001}}}},
            "invalid_value",
            "session.audio.input.transcription.prompt",
        ),
        ({"truncation": "sometimes"}, "invalid_value", "session.truncation"),
        (
            {"truncation": {"type": "retention_ratio", "retention_ratio": 2}},
            "invalid_value",
            "session.truncation.retention_ratio",
        ),
        (
            {
                "truncation": {
                    "type": "retention_ratio",
                    "retention_ratio": 1,
                    "token_limits": {"post_instructions": -1},
                }
            },
            "invalid_value",
            "session.truncation.token_limits.post_instructions",
        ),
        ({"audio": {"output": {"speed": 2}}}, "invalid_value", "session.audio.output.speed"),
        ({"audio": {"output": {"voice": 3}}}, "invalid_type", "session.audio.output.voice"),
        ({"audio": {"input": {"format": {"type": "audio/opus"}}}}, "invalid_value", "session.audio.input.format.type"),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}},
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "psychic"}}}},
            "invalid_value",
            "session.audio.input.turn_detection.type",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"audio": {"input": {"noise_reduction": {"type": "none"}}}},
            "invalid_value",
            "session.audio.input.noise_reduction.type",
        ),
    ],
)
def test_a_refused_update_changes_nothing(session: dict[str, Any], code: str, param: str) -> None:
    client = Client(bounds=Bounds(instructions_chars=50, tools=2))
    mixed = {**session, "tracing": "auto", "audio": {"output": {"voice": "ash"}, **session.get("audio", {})}}
    error = client.is_refused("session.update", session=mixed, event_id="e1")

    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["event_id"] == "e1"
    assert client.updates() == DEFAULT


def test_a_schema_nested_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"properties": deep}
    error = Client().is_refused("session.update", session={"tools": [{**FUNCTION, "parameters": deep}]})

    assert error["param"] == "session.tools[0].parameters"


def test_the_parameters_of_all_tools_share_a_bound() -> None:
    client = Client(bounds=Bounds(schema_bytes=100))
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "description": "x" * 30}}
    client.updates(tools=[tool])

    error = client.is_refused("session.update", session={"tools": [tool, tool]})

    assert (error["code"], error["param"]) == ("invalid_value", "session.tools")
    assert "may have 100 bytes of JSON" in error["message"]
    assert client.is_refused("response.create", response={"tools": [tool, tool]})["param"] == "response.tools"


@pytest.mark.parametrize("parameters", ["[]", "3", '"x"'])
def test_parameters_are_an_object(parameters: str) -> None:
    tool = f'{{"type": "function", "name": "f", "parameters": {parameters}}}'
    error = Client().is_refused(f'{{"type": "session.update", "session": {{"tools": [{tool}]}}}}')

    assert (error["code"], error["param"]) == ("invalid_type", "session.tools[0].parameters")


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    client = Client(bounds=Bounds(schema_bytes=100))
    no_objects: list[Any] = [[]] * 100
    tool = {"type": "function", "name": "f", "parameters": no_objects}
    for session in ({"tools": [tool]}, {"tracing": {"metadata": no_objects}}):
        assert "bytes of JSON" in client.is_refused("session.update", session=session)["message"]


def test_a_session_is_never_so_large_that_its_client_cannot_take_it() -> None:
    client = Client(bounds=Bounds(session_bytes=2_000))
    shown = client.updates(instructions="x" * 1_000)

    error = client.is_refused("session.update", session={"tracing": {"workflow_name": "x" * 1_000}})

    assert (error["code"], error["param"]) == ("invalid_value", "session")
    assert client.updates() == shown


def test_updates_are_answered_one_by_one_in_order() -> None:
    client = Client()
    commands = [
        client.asks("session.update", session=session)
        for session in ({"instructions": "a"}, {"tracing": "auto"}, {"instructions": "b"})
    ]
    answers = client.sees(*(core.Configured(c.config, c.spelling) for c in commands if isinstance(c, core.Configure)))

    assert [(a["session"]["instructions"], a["session"]["tracing"]) for a in answers] == [
        ("a", None),
        ("a", "auto"),
        ("b", "auto"),
    ]


def test_an_update_that_the_session_had_no_room_for_changes_nothing() -> None:
    client = Client()
    client.updates(instructions="taken", max_output_tokens=7)
    lost = {"instructions": "lost", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    client.protocol.undo(client.asks("session.update", session=lost))
    heard = client.asks("input_audio_buffer.append", audio=base64.b64encode(bytes(480)).decode())
    shown = client.updates(tracing="auto")

    assert isinstance(heard, core.AppendAudio)
    assert heard.audio.samples == 240
    assert (shown["instructions"], shown["max_output_tokens"], shown["tracing"]) == ("taken", 7, "auto")
    assert shown["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}


def test_what_follows_a_new_format_is_read_in_it_before_the_update_is_answered() -> None:
    client = Client()
    client.asks("session.update", session={"audio": {"input": {"format": {"type": "audio/pcmu"}}}})
    heard = client.asks("input_audio_buffer.append", audio=base64.b64encode(bytes(80)).decode())

    assert isinstance(heard, core.AppendAudio)
    assert (heard.audio.samples, heard.audio.rate) == (80, 8000)


# --- prompts ---

HOST = AgentSpec(slug="host", version=3, instructions="Greet {{ guest }} of {{house}} and {{unknown}}.")


def test_the_agents_instructions_are_a_stored_prompt() -> None:
    client = Client(HOST)
    prompt = {
        "id": "host",
        "version": "3",
        "variables": {"guest": "Ada", "house": {"type": "input_text", "text": "{{guest}}"}},
    }
    shown = client.updates(prompt=prompt)
    assert shown["prompt"] == prompt
    assert shown["instructions"] == "Greet Ada of {{guest}} and {{unknown}}."
    assert client.updates(instructions="Whisper.")["instructions"] == "Whisper."
    shown = client.updates(prompt=None)
    assert (shown["prompt"], shown["instructions"]) == (None, HOST.instructions)


def test_what_a_prompt_was_filled_with_is_shown_to_who_may_see_the_instructions() -> None:
    prompt = {"id": "host", "variables": {"guest": "A difficult one"}}
    assert Client(HOST, start={"prompt": prompt}).created["session"]["prompt"] == prompt
    shown = Client(HOST, start={"prompt": prompt}, allowed=("formats",)).created["session"]
    assert (shown["prompt"], shown["instructions"]) == (None, "")


def test_no_prompt_where_there_was_none_leaves_the_instructions() -> None:
    client = Client(HOST)
    client.updates(instructions="Whisper.")
    assert client.updates(prompt=None)["instructions"] == "Whisper."


def test_a_response_may_have_a_prompt_of_its_own() -> None:
    prompt = {"id": "host", "variables": {"guest": "Ada"}}
    command = Client(HOST).asks("response.create", response={"prompt": prompt})
    assert isinstance(command, core.CreateResponse)
    assert command.options.instructions == "Greet Ada of {{house}} and {{unknown}}."


@pytest.mark.parametrize(
    ("prompt", "code", "param"),
    [
        ({"id": "pmpt_1"}, "invalid_value", "prompt.id"),
        ({"id": "host", "version": "2"}, "invalid_value", "prompt.version"),
        ({"version": "3"}, "missing_required_parameter", "prompt.id"),
        ({"id": "host", "variables": {"guest": 5}}, "invalid_type", "prompt.variables[...]"),
        ({"id": "host", "variables": {"guest": "x" * 100}}, "invalid_value", "prompt.variables"),
    ],
)
def test_a_prompt_that_is_not_there_is_refused(prompt: Any, code: str, param: str) -> None:
    client = Client(HOST, bounds=Bounds(instructions_chars=100))
    error = client.is_refused("session.update", session={"prompt": prompt})
    assert (error["code"], error["param"]) == (code, f"session.{param}")
    assert client.updates()["prompt"] is None


def test_who_may_not_change_the_instructions_may_not_fill_them_in() -> None:
    client = Client(HOST, allowed=())
    assert client.updates(prompt={"id": "host", "variables": {"guest": "Eve"}})["prompt"] is None
    assert set(client.protocol.refused) == {"session.prompt", "session.instructions"}


# --- what the core is told ---


def test_the_core_is_told_all_it_needs() -> None:
    config = config_of(
        Client(),
        type="realtime",
        instructions="Rhyme.",
        tools=[FUNCTION],
        tool_choice={"type": "function", "name": "weather"},
        output_modalities=["text"],
        max_output_tokens=50,
        audio={
            "input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}, "transcription": {}},
            "output": {"voice": "heart", "speed": 1.1},
        },
    )

    assert config == core.SessionConfig(
        instructions="Rhyme.",
        tools=(ToolSpec("weather", "d", {"type": "object"}),),
        tool_choice="weather",
        modality="text",
        max_output_tokens=50,
        voice="heart",
        speed=1.1,
        transcription=True,
        turn_detection=TurnDetection(type="semantic_vad", eagerness="high"),
    )


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("auto", Truncation("auto", 0.8)),
        ("disabled", Truncation("disabled")),
        ({"type": "retention_ratio", "retention_ratio": 0.5}, Truncation("auto", 0.5)),
        (
            {"type": "retention_ratio", "retention_ratio": 1, "token_limits": {"post_instructions": 5_000}},
            Truncation("auto", 1, 5_000),
        ),
    ],
)
def test_truncation_is_told_to_the_core(asked: Any, told: Truncation) -> None:
    assert config_of(Client(), truncation=asked).truncation == told


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"model": "gpt-4o-transcribe"}, Hints()),
        ({"model": "whisper-1", "language": "de", "prompt": "Repartee"}, Hints("de", "Repartee")),
        ({"language": "pt-BR", "prompt": None}, Hints("pt")),
        ({"language": "multi"}, Hints()),
        ({"language": "d3"}, Hints()),
        (None, Hints()),
    ],
)
def test_what_is_said_of_the_speech_reaches_the_ears(asked: Any, told: Hints) -> None:
    assert config_of(Client(), audio={"input": {"transcription": asked}}).hints == told


def test_no_turn_detection_is_none() -> None:
    config = config_of(Client(), audio={"input": {"turn_detection": None}})

    assert config.turn_detection == TurnDetection(type="none")


@pytest.mark.parametrize(
    ("account", "asked", "core_voice"),
    [("embedded", "ash", "heart"), ("embedded", "other", "other"), ("cloud", "ash", "ash")],
)
def test_openais_voices_stand_for_the_agents_own_unless_its_tts_may_have_them(
    account: str, asked: str, core_voice: str
) -> None:
    client = Client(AgentSpec(slug="guide", tts=TTSSpec(account=account, voice="heart")))
    assert client.created["session"]["audio"]["output"]["voice"] == "heart"

    assert config_of(client, audio={"output": {"voice": asked}}).voice == core_voice


# --- who may change what ---


def test_what_is_not_allowed_is_passed_over_shown_and_counted() -> None:
    client = Client(allowed=("turn_detection",))
    shown = client.updates(
        instructions="Swear.",
        tools=[FUNCTION],
        tool_choice="required",
        output_modalities=["text"],
        tracing="auto",
        audio={
            "input": {
                "turn_detection": None,
                "transcription": {"model": "whisper-1"},
                "format": {"type": "audio/pcmu"},
            },
            "output": {"voice": "ash", "speed": 1.5, "format": {"type": "audio/pcma"}},
        },
    )

    assert shown == changed(tracing="auto", audio__input__turn_detection=None, instructions="")
    assert set(client.protocol.refused) == {
        "session.instructions",
        "session.tools",
        "session.tool_choice",
        "session.output_modalities",
        "session.audio.input.transcription",
        "session.audio.input.format",
        "session.audio.output.voice",
        "session.audio.output.speed",
        "session.audio.output.format",
    }


def test_asking_for_what_is_so_already_is_no_refusal() -> None:
    client = Client(allowed=())
    client.updates(output_modalities=["audio"], tools=[], audio={"output": {"speed": 1.0}})

    assert not client.protocol.refused


def test_a_client_that_may_not_change_the_instructions_does_not_see_them() -> None:
    client = Client(allowed=("turn_detection",))

    assert client.created["session"]["instructions"] == ""
    assert config_of(client, tracing="auto").instructions == "Be brief."


def test_a_session_starts_as_its_secret_says() -> None:
    start = {"type": "realtime", "instructions": "Be kind.", "audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    client = Client(GUIDE, allowed=("turn_detection",), start=start)
    (opening,) = client.opening
    assert isinstance(opening, core.Configure)

    assert opening.config.instructions == "Be kind."
    assert client.created["session"]["audio"]["output"]["format"] == {"type": "audio/pcmu"}


# --- transcription sessions ---


def test_a_transcription_session_has_only_ears() -> None:
    client = Client(AgentSpec(slug="guide", stt=STTSpec(model="base")), kind="transcription")
    (opening,) = client.opening
    assert isinstance(opening, core.Configure)

    assert client.created["session"] == {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": "sess_1",
        "expires_at": EXPIRES_AT,
        "include": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": {"model": "base"},
                "noise_reduction": None,
                "turn_detection": SERVER_VAD,
            }
        },
    }
    assert opening.config.transcription
    assert opening.config.transcription_only


def test_a_transcription_session_gives_no_responses() -> None:
    client = Client(kind="transcription")
    error = client.is_refused("response.create", event_id="e1")

    assert (error["code"], error["event_id"]) == ("invalid_value", "e1")
    assert client.is_refused("session.update", session={"type": "realtime"})["param"] == "session.type"


def test_a_secret_for_transcription_opens_a_transcription_session() -> None:
    assert Client(start={"type": "transcription"}).created["session"]["type"] == "transcription"
