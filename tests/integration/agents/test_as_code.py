from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from agents import as_code, selectors, services
from agents.agent_file import FileError
from agents.models import Agent, ProviderAccount, Tool
from agents.spec import AgentSpec, LLMSpec, STTSpec, TTSSpec, TurnDetection
from tests.integration.agents.conftest import TERSE

pytestmark = pytest.mark.django_db

FULL = """\
accounts:
  - {name: main, kind: openai_compatible, base_url: "https://main.test/v1", api_key_env: MAIN_KEY, stall_timeout_s: 2}
  - {name: spare, kind: openai_compatible, base_url: "https://spare.test/v1", api_key: spare-key}
tools:
  - name: weather
    description: The weather of a city.
    parameters: {type: object, properties: {city: {type: string}}, required: [city]}
    url: https://hooks.test/weather
    signing_secret: signed
    side_effects: false
agents:
  - slug: full
    name: Full
    instructions: |
      Say little.

      "Quotes", colons: and # signs stay.
    greeting: Hello.
    brain: llm
    llm: {account: main, model: m, temperature: 0.5, fallbacks: [spare]}
    tts: {speed: 1.2}
    overrides: {ephemeral: []}
    tools: [time, weather]
    store_text: true
"""


def apply(text: str, *, draft: bool = False, **environ: str) -> list[str]:
    return [f"{done.name}: {done.outcome}" for done in as_code.apply_document(text, draft, environ=environ)]


def test_the_example_file_works_as_it_stands(terse: Agent) -> None:
    assert selectors.published_spec("terse") == AgentSpec(
        slug="terse",
        version=1,
        instructions="You are terse.",
        brain="llm",
        stt=STTSpec(account="lab", model="whisper-1"),
        llm=LLMSpec(account="lab", model="any"),
        tts=TTSSpec(account="lab", model="tts-1", voice="alloy"),
        turn_detection=TurnDetection(silence_duration_ms=300),
    )
    account = selectors.accounts_for(selectors.published_spec("terse"))["lab"]
    assert (account.base_url, account.api_key) == ("http://127.0.0.1:9200/v1", "unused")


def test_an_unchanged_file_makes_no_version(terse: Agent) -> None:
    assert apply(TERSE) == ["lab: unchanged", "terse: unchanged, version 1"]
    assert terse.versions.count() == 1


def test_a_changed_file_makes_the_next_version(terse: Agent) -> None:
    assert apply(TERSE.replace("300", "400")) == ["lab: unchanged", "terse: published version 2"]
    assert selectors.published_spec("terse").turn_detection.silence_duration_ms == 400
    assert selectors.spec_of("terse", 1).turn_detection.silence_duration_ms == 300


def test_a_draft_waits_to_be_published(terse: Agent) -> None:
    assert apply(TERSE.replace("300", "400"), draft=True)[-1] == "terse: draft, version 2"
    assert apply(TERSE.replace("300", "400"), draft=True)[-1] == "terse: unchanged, version 2"
    assert selectors.published_spec("terse").version == 1
    assert terse.draft is not None
    services.publish(version=terse.draft)
    assert selectors.published_spec("terse").turn_detection.silence_duration_ms == 400


def test_applying_an_export_changes_nothing() -> None:
    apply(FULL, MAIN_KEY="main-key")
    exported = as_code.export_document("full")
    assert apply(exported, MAIN_KEY="main-key") == [
        "main: unchanged",
        "spare: unchanged",
        "weather: unchanged",
        "full: unchanged, version 1",
    ]
    assert as_code.export_document("full") == exported
    assert "spare-key" not in exported
    assert "main-key" not in exported
    assert "signed" not in exported


def test_an_export_applied_elsewhere_makes_the_same_agent() -> None:
    apply(FULL, MAIN_KEY="main-key")
    before, exported = selectors.published_spec("full"), as_code.export_document("full")
    Agent.objects.all().delete()
    ProviderAccount.objects.all().delete()
    Tool.objects.all().delete()
    apply(exported, MAIN_KEY="main-key")
    assert selectors.published_spec("full") == before


def test_a_webhook_is_filled_in_and_its_secret_stays_apart() -> None:
    apply(FULL, MAIN_KEY="main-key")
    found = selectors.published_spec("full")
    time, weather = found.tools
    assert (time.kind, weather.kind, weather.url) == ("builtin", "webhook", "https://hooks.test/weather")
    assert weather.parameters["required"] == ["city"]
    assert not weather.side_effects
    assert selectors.webhook_secrets_for(found) == {"weather": "signed"}


def test_keys_are_kept_when_a_file_names_none_and_changed_when_it_does(terse: Agent) -> None:
    def key() -> str:
        return selectors.accounts_for(selectors.published_spec("terse"))["lab"].api_key

    assert apply(TERSE.replace(", api_key: unused", ""))[0] == "lab: unchanged"
    assert key() == "unused"
    assert apply(TERSE.replace("api_key: unused", "api_key_env: LAB_KEY"), LAB_KEY="fresh")[0] == "lab: updated"
    assert key() == "fresh"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "llm: {account: lab",
            "llm: {account: lib",
            'line 8: llm.account: there is no account "lib"; there is embedded, lab',
        ),
        ("api_key: unused", "api_key_env: NOT_SET", "line 2: the environment variable NOT_SET is not set"),
        (
            "api_key: unused",
            "api_key: a, api_key_env: B",
            "line 2: give the secret or the name of a variable, not both",
        ),
        ("kind: openai_compatible", "kind: telepathy", "line 2: kind: Value 'telepathy' is not a valid choice."),
        ("http://127", "ftp://127", "line 2: base_url: Enter a valid URL."),
        ("name: lab, ", "name: embedded, ", 'line 2: name: "embedded" is the name of the models'),
        (
            "instructions: You are terse.",
            "knowledge: [atlantis]",
            'line 5: knowledge[0]: there is no knowledge base "atlantis"',
        ),
        (
            "instructions: You are terse.",
            "tools:\n    - time\n    - teleport",
            'line 7: tools[1]: there is no tool "teleport"',
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_nothing_is_done(before: str, after: str, message: str) -> None:
    assert before in TERSE
    with pytest.raises(FileError) as caught:
        apply(TERSE.replace(before, after, 1))
    assert str(caught.value).startswith(message)
    assert not ProviderAccount.objects.exists()
    assert not Agent.objects.exists()


def test_a_webhook_cannot_take_the_name_of_a_built_in_tool() -> None:
    with pytest.raises(FileError, match='line 5: "time" is the name of a built-in tool'):
        apply(FULL.replace("name: weather", "name: time"), MAIN_KEY="k")


def test_keys_are_encrypted_at_rest(terse: Agent) -> None:
    apply(FULL, MAIN_KEY="main-key")
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM agents_provideraccount UNION ALL SELECT signing_secret FROM agents_tool")
        stored = [token for (token,) in cursor.fetchall()]
    assert len(stored) == 4
    for token in stored:
        assert token.startswith("gAAAA")
        assert not any(plain in token for plain in ("unused", "main-key", "spare-key", "signed"))


def test_a_fixture_holds_tokens_only(terse: Agent) -> None:
    out = StringIO()
    call_command("dumpdata", "agents.provideraccount", stdout=out)
    assert "unused" not in out.getvalue()
    assert "gAAAA" in out.getvalue()


def test_the_command_applies_exports_and_explains(tmp_path: Path) -> None:
    file = tmp_path / "terse.yaml"
    file.write_text(TERSE)
    out = StringIO()
    call_command("agent", "apply", str(file), stdout=out)
    call_command("agent", "apply", str(file), "--draft", stdout=out)
    assert out.getvalue().splitlines() == [
        "account lab: created",
        "agent terse: published version 1",
        "account lab: unchanged",
        "agent terse: unchanged, version 1",
    ]
    exported = StringIO()
    call_command("agent", "export", "terse", stdout=exported)
    file.write_text(exported.getvalue())
    call_command("agent", "apply", str(file), stdout=out)
    assert out.getvalue().splitlines()[-1] == "agent terse: unchanged, version 1"

    file.write_text(TERSE.replace("brain", "brian"))
    with pytest.raises(CommandError, match=r'terse\.yaml: line 6: unknown key "brian"'):
        call_command("agent", "apply", str(file))
    with pytest.raises(CommandError, match="No such file"):
        call_command("agent", "apply", str(tmp_path / "none.yaml"))
    with pytest.raises(CommandError, match="no published agent 'nobody'"):
        call_command("agent", "export", "nobody")


def test_reencrypting_moves_every_secret_to_the_first_key(terse: Agent) -> None:
    token = ProviderAccount.objects.get(name="lab").api_key.token
    out = StringIO()
    call_command("agent", "reencrypt", stdout=out)
    assert out.getvalue().startswith("1 secrets")
    account = ProviderAccount.objects.get(name="lab")
    assert account.api_key.token != token
    assert account.api_key.reveal() == "unused"


RULED = """\
agents:
  - slug: ruled
    brain: rules
    rules:
      - name: buy
        when: event.price < 3
        decide: {action: buy, size: "{{ event.size }}"}
      - name: tell
        when: WHEN
        call: time
    feed:
      mode: text
      schema: {type: object}
      series:
        - {name: fast, of: price, kind: ewma, span: 20}
"""


def test_rules_and_feeds_come_back_as_they_were_written() -> None:
    apply(RULED.replace("WHEN", "event.price > 5"))
    spec = selectors.published_spec("ruled")
    assert spec.rules[0].decide == {"action": "buy", "size": "{{ event.size }}"}
    assert apply(as_code.export_document("ruled")) == ["ruled: unchanged, version 1"]


def test_a_wrong_rule_is_named_with_its_line() -> None:
    with pytest.raises(FileError, match=r'line 9: rules\[1\].when: there is no "evnt" here'):
        apply(RULED.replace("WHEN", "evnt.price > 5"))
