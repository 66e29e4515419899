from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import agent_file
from agents.agent_file import AccountEntry, AgentFile, FileError
from agents.spec import AgentSpec, STTSpec, ToolRef

BUILTINS = {"time", "arithmetic"}

VALID = """\
accounts:
  - name: lab
    kind: openai_compatible
    api_key: sesame
agents:
  - slug: terse
    brain: llm
    llm:
      account: lab
      model: any
    turn_detection: {type: server_vad,
                     silence_duration_ms: 300}
"""


def parse(text: str) -> AgentFile:
    return agent_file.parse(text, BUILTINS.__contains__)[0]


def error(text: str) -> FileError:
    with pytest.raises(FileError) as caught:
        parse(text)
    return caught.value


def test_what_is_left_out_takes_the_embedded_default() -> None:
    (agent,) = parse("agents: [{slug: plain}]").agents
    assert agent == AgentSpec(slug="plain")
    assert agent.stt == STTSpec(account="embedded")


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        (
            "silence_duration_ms",
            "silense_duration_ms",
            12,
            'unknown key "silense_duration_ms" in agents[0].turn_detection',
        ),
        ("silence_duration_ms", "silense_duration_ms", 12, 'did you mean "silence_duration_ms"?'),
        ("    brain: llm", "    mind: llm", 7, 'unknown key "mind" in agents[0]; known here: slug, name'),
        ("    kind:", "    sort:", 3, 'unknown key "sort" in accounts[0]'),
        ("agents:", "agent:", 5, 'unknown key "agent"; did you mean "agents"?'),
        ("model: any", "model: 3", 10, "agents[0].llm.model: Expected `str`, got `int` (put it in quotes)"),
        ("model: any", "max_tool_rounds: 21", 10, "agents[0].llm.max_tool_rounds: Expected `int` <= 20"),
        ("type: server_vad", "type: best", 11, "agents[0].turn_detection.type: Invalid enum value 'best'"),
        ("slug: terse", "slug: Terse Bot", 6, "agents[0].slug"),
        ("  - slug: terse\n    brain", "  - brain", 6, "missing required field `slug`"),
        ("    brain: llm", "    brain: llm\n    brain: answers", 8, 'the key "brain" stands twice'),
        ("    brain: llm", "    brain: llm\n    version: 3", 8, 'unknown key "version"'),
        ("    brain: llm", "    tools: [time, {name: x}]", 7, "a tool is given by its name"),
        ("    brain: llm", "    brain: [llm", 8, "not valid YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line(before: str, after: str, line: int, words: str) -> None:
    assert before in VALID
    caught = error(VALID.replace(before, after, 1))
    assert (caught.line, str(caught)[: len(f"line {line}: ")]) == (line, f"line {line}: ")
    assert words in str(caught)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    assert "must be a mapping" in str(error(text))


def test_an_anchor_that_contains_itself_is_refused() -> None:
    assert error("agents: &a\n  - *a\n").line is not None


def test_an_error_never_repeats_a_key() -> None:
    broken = VALID.replace("sesame", "[sesame]")
    assert "sesame" not in str(error(broken))
    assert "sesame" not in str(error(VALID.replace("api_key: sesame", "api_key: 'sesame")))


def test_two_agents_of_one_slug_are_refused() -> None:
    caught = error(VALID + "  - slug: terse\n")
    assert (caught.line, 'agents has "terse" twice' in str(caught)) == (13, True)


def test_tools_are_names() -> None:
    (agent,) = parse("agents: [{slug: a, tools: [time, weather]}]").agents
    assert agent.tools == (ToolRef(name="time", kind="builtin"), ToolRef(name="weather", kind="webhook"))


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=80)


@given(
    instructions=words,
    greeting=words,
    model=words,
    silence=st.integers(0, 10_000),
    tools=st.permutations(["time", "b"]),
)
def test_a_written_file_reads_back_as_it_was(
    instructions: str, greeting: str, model: str, silence: int, tools: list[str]
) -> None:
    spec = AgentSpec(
        slug="any",
        instructions=instructions,
        greeting=greeting,
        stt=STTSpec(account="lab", model=model, fallbacks=("embedded",)),
        tools=tuple(agent_file.reference(name, BUILTINS.__contains__) for name in tools),
    )
    file = AgentFile(accounts=(AccountEntry(name="lab", kind="openai_compatible"),), agents=(spec,))
    assert parse(agent_file.dump(file)) == file
