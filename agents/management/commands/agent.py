"""`manage.py agent apply FILE`, `agent export SLUG`, `agent reencrypt`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents import as_code, services
from agents.errors import ReparteeError


class Command(BaseCommand):
    help = "Agents as code: apply a YAML file, or export an agent as one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        apply = commands.add_parser("apply", help="create or change the accounts, tools and agents of a file")
        apply.add_argument("file", help='a YAML file, or "-" for standard input')
        apply.add_argument("--draft", action="store_true", help="leave the agents as drafts instead of publishing them")
        export = commands.add_parser("export", help="print an agent, with the accounts and tools it uses, as YAML")
        export.add_argument("slug")
        commands.add_parser("reencrypt", help="encrypt all stored secrets with the first of REPARTEE_ENCRYPTION_KEYS")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            match options["command"]:
                case "apply":
                    self._apply(options["file"], draft=options["draft"])
                case "export":
                    self.stdout.write(as_code.export_document(options["slug"]), ending="")
                case "reencrypt":
                    self.stdout.write(f"{services.reencrypt_secrets()} secrets encrypted with the first key")
        except ReparteeError as error:
            raise CommandError(f"{options.get('file') or ''}: {error}".removeprefix(": ")) from error

    def _apply(self, file: str, *, draft: bool) -> None:
        for done in as_code.apply_document(_read(file), draft):
            self.stdout.write(f"{done.kind} {done.name}: {done.outcome}")


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: not a UTF-8 text") from error
