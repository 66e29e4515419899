"""uvicorn as Repartee needs it: `python -m project.server` serves, and sets nothing up.

docs/decisions/0001-uvicorn.md has the reasons for each choice.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import uvicorn
from django.conf import settings

from project.allocator import bound_arenas
from project.paced_http import PacedHttpProtocol
from project.paced_websocket import PacedWebSocketProtocol

BIGGEST_MESSAGE = 24 * 1024 * 1024  # bytes: one append may carry 15 MiB of audio, which base64 makes 20
DRAIN_S = 1  # for open connections; the session host then has the rest of two seconds


def config(*, host: str, port: int, certificate: Path | None = None, key: Path | None = None) -> uvicorn.Config:
    """How the ASGI application is served, by TLS where a certificate is given."""
    return uvicorn.Config(
        "project.asgi:application",
        host=host,
        port=port,
        loop="uvloop",
        http=PacedHttpProtocol,
        ws=PacedWebSocketProtocol,
        lifespan="on",
        ws_max_size=BIGGEST_MESSAGE,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_graceful_shutdown=DRAIN_S,
        access_log=False,
        log_config=None,
        server_header=False,
        forwarded_allow_ips=settings.REPARTEE_PROXY_IPS,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )


def run(server: uvicorn.Server) -> None:
    """Serve until a signal says stop."""
    with contextlib.suppress(KeyboardInterrupt):
        server.run()


def main() -> None:
    bound_arenas()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - a container's own network
    parser.add_argument("--port", type=int, default=settings.PORT)
    options = parser.parse_args()
    run(uvicorn.Server(config(host=options.host, port=options.port)))


if __name__ == "__main__":
    main()
