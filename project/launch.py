"""`make run`: set up what is missing on a machine of one's own, then serve.

    python -m project.launch [--tls]

Development mode only: it makes an administrator, an API key and the demo agent, and prints what is
new. A second start finds them and goes straight to serving.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from pathlib import Path

import django
import uvicorn
from django.conf import settings

from project import server
from project.allocator import bound_arenas
from project.local import lan_addresses, loopback_names, remember_environment
from project.tls import self_signed

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - with TLS, for the phone on the same network


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)


def ensure_administrator() -> str | None:
    """The password of a new administrator, or None where there is one already."""
    from django.contrib.auth.models import User

    if User.objects.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(12)
    User.objects.create_superuser("admin", password=password)
    return password


def prepare() -> list[str]:
    """Bring the data folder up to date. Lines about what was made, which are shown this once."""
    from agents.services import ensure_guide
    from sessions.keys import ensure_dev_key

    say(f"Preparing {settings.REPARTEE_DATA} …")
    remember_environment(settings.REPARTEE_DATA, settings.REPARTEE_ENV)
    migrate()
    ensure_guide()
    made = []
    if password := ensure_administrator():
        made.append(f"Administrator   admin / {password}   (shown once; `manage.py changepassword admin` sets another)")
    if key := ensure_dev_key():
        made.append(f"API key         {key}   (shown once; `manage.py apikey create NAME` makes another)")
    return made


class AnnouncingServer(uvicorn.Server):
    """Prints where everything is as soon as a first conversation can begin."""

    def __init__(self, config: uvicorn.Config, lines: list[str]) -> None:
        super().__init__(config)
        self._lines = lines

    async def main_loop(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            announcement = tasks.create_task(self._announce())
            await super().main_loop()
            announcement.cancel()

    async def _announce(self) -> None:
        from sessions import host  # a model's module: only after django.setup()

        if not all(host.readiness().values()):
            say("Loading the models …")
        while not all(host.readiness().values()):  # noqa: ASYNC110 - models warm up in threads
            await asyncio.sleep(0.1)
        for line in self._lines:
            say(line)


def addresses(*, host: str, tls: bool) -> list[str]:
    web, socket, port = ("https" if tls else "http"), ("wss" if tls else "ws"), settings.PORT
    lines = [
        "",
        "Repartee is ready. Ctrl-C ends it.",
        f"  Talk            {web}://localhost:{port}/",
        f"  Configure       {web}://localhost:{port}/admin/",
        f"  Realtime API    {socket}://localhost:{port}/v1/realtime?model={settings.REPARTEE_DEFAULT_AGENT}",
    ]
    if host == EVERYWHERE:
        lines += [f"  From a phone    {web}://{address}:{port}/" for address in lan_addresses()]
    return lines


def certificate() -> tuple[Path, Path]:
    return self_signed(settings.REPARTEE_DATA / "tls", loopback_names(local_network=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", action="store_true", help="serve https and wss with a self-signed certificate")
    options = parser.parse_args()
    bound_arenas()
    django.setup()
    if not settings.DEVELOPMENT:
        sys.exit("This sets up a machine of your own: it needs REPARTEE_ENV=development. Serve with project.server.")

    host = settings.REPARTEE_HOST or (EVERYWHERE if options.tls else LOOPBACK)
    made = prepare()
    certificate_path, key_path = certificate() if options.tls else (None, None)
    config = server.config(host=host, port=settings.PORT, certificate=certificate_path, key=key_path)
    lines = [*addresses(host=host, tls=options.tls), *(f"  {line}" for line in made), ""]
    server.run(AnnouncingServer(config, lines))


if __name__ == "__main__":
    main()
