"""docs/reference/commands.md has a section for every command of ours, with each of its arguments."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest
from django.core.management import BaseCommand, load_command_class

from tests.processes import ROOT

PAGE = ROOT / "docs" / "reference" / "commands.md"
SECTION = re.compile(r"^## `([a-z_]+)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(PAGE.read_text())) if PAGE.exists() else {}
COMMANDS = {
    path.stem: path.parts[-4]
    for path in sorted(ROOT.glob("*/management/commands/*.py"))
    if not path.stem.startswith("_")
}
DJANGOS_OWN = {
    option for action in BaseCommand().create_parser("", "")._actions for option in action.option_strings
} - {"--version"}


def arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Subcommands, positional arguments as they are shown, and the long options that are not Django's."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield name
                yield from arguments(inner)
        elif action.option_strings:
            yield from (option for option in action.option_strings if option.startswith("--"))
        else:
            yield str(action.metavar or action.dest).upper()


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert SECTIONS.keys() == COMMANDS.keys()


@pytest.mark.parametrize(("name", "app"), COMMANDS.items())
def test_every_argument_is_mentioned(name: str, app: str) -> None:
    command = load_command_class(app, name)
    own = DJANGOS_OWN | (set() if command.__class__.create_parser is not BaseCommand.create_parser else {"--version"})
    wanted = set(arguments(command.create_parser("manage.py", name))) - own
    words = set(re.findall(r"--[\w-]+|\w+", SECTIONS[name]))
    assert sorted(wanted - words) == []
