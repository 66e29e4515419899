from __future__ import annotations

import re
from pathlib import Path

import pytest

from agents import agent_file

HOWTO = Path(__file__).parents[5] / "docs/howto/openai-compatible-endpoints.md"
EXAMPLES = re.findall(r"```yaml\n(accounts:.*?)```", HOWTO.read_text(), re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_can_be_applied(example: str) -> None:
    file, _ = agent_file.parse(example, lambda _: True)
    (account,) = file.accounts
    (agent,) = file.agents
    assert account.kind == "openai_compatible"
    assert agent.llm.account == account.name
