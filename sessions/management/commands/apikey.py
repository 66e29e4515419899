"""Make, list and revoke API keys."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents import selectors
from sessions.keys import DEVELOPMENT_KEY, create_key, revoke_key
from sessions.models import ApiKey
from sessions.scopes import MEANINGS, SCOPES, TALKING

MOST = 1_000_000


class Command(BaseCommand):
    help = "Make, list and revoke API keys."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="Make a key and print it; it cannot be shown again.")
        create.add_argument("name", help="What the key is for.")
        create.add_argument("--agent", action="append", default=[], metavar="SLUG", help="An agent it may use; all.")
        create.add_argument(
            "--scope",
            action="append",
            choices=SCOPES,
            metavar="SCOPE",
            help=f"What it is for, {' and '.join(TALKING)} if not given. "
            + "; ".join(f"{scope}: {meaning}" for scope, meaning in MEANINGS.items()),
        )
        create.add_argument("--requests", type=_limit, metavar="N", help="Requests a minute; 0 for no limit.")
        create.add_argument("--sessions", type=_limit, metavar="N", help="Sessions at once; 0 for no limit.")
        actions.add_parser("list", help="Show the keys there are.")
        revoke = actions.add_parser("revoke", help="End a key.")
        revoke.add_argument("prefix", help="The key's first characters, as `list` shows them.")

    def handle(self, *args: Any, **options: Any) -> None:
        match options["action"]:
            case "create":
                self._create(options)
            case "list":
                self._list()
            case "revoke":
                self._revoke(options["prefix"])

    def _create(self, options: dict[str, Any]) -> None:
        name, agents = options["name"], options["agent"]
        if name == DEVELOPMENT_KEY:
            raise CommandError(f'"{DEVELOPMENT_KEY}" is the name of the key that development mode makes for itself.')
        known = set(selectors.list_agents().values_list("slug", flat=True))
        if unknown := sorted(set(agents) - known):
            raise CommandError(
                f"No published agent {', '.join(unknown)}; there is {', '.join(sorted(known)) or 'none'}."
            )
        _, key = create_key(
            name=name,
            agents=agents,
            scopes=options["scope"] or TALKING,
            requests_per_minute=options["requests"],
            sessions_at_once=options["sessions"],
        )
        self.stdout.write(key)
        self.stderr.write("Keep it safe: it is stored nowhere and cannot be shown again.")

    def _list(self) -> None:
        for key in ApiKey.objects.all():
            used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
            state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else f"last used {used}"
            agents, scopes = ", ".join(key.agents) or "all", ", ".join(key.scopes) or "nothing"
            self.stdout.write(f"{key.prefix}…  {key.name}  agents: {agents}  for: {scopes}  {state}")

    def _revoke(self, prefix: str) -> None:
        found = list(ApiKey.objects.filter(prefix__startswith=prefix.rstrip("…"), revoked_at=None)[:2])
        if len(found) != 1:
            raise CommandError("No such key." if not found else "More than one key begins so; give more characters.")
        revoke_key(found[0])
        self.stdout.write(f"{found[0].prefix}… ({found[0].name}) is revoked.")


def _limit(value: str) -> int:
    if not value.isascii() or not value.isdecimal() or int(value) > MOST:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number from 0 to {MOST}")
    return int(value)
