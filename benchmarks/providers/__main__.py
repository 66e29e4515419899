"""Run the scripted server: python -m benchmarks.providers --port 9200 --stt-ms 300 …"""

from __future__ import annotations

import argparse
from dataclasses import fields

import uvicorn

from benchmarks.providers.app import Server
from benchmarks.providers.script import SERIAL, Script


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.providers", description=Script.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9200, help="0 picks a free one")
    parser.add_argument("--serial", action="store_true", help="no stage streams: STT 300, LLM 2000, TTS 500 ms")
    parser.add_argument("--ssl-certfile")
    parser.add_argument("--ssl-keyfile")
    parser.add_argument("--keep-alive-s", type=int, default=120, help="how long a connection without a request is kept")
    for field in fields(Script):
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, default=argparse.SUPPRESS, metavar="VALUE", help=f"default: {field.default!r}")
    given = vars(parser.parse_args())
    names = {field.name for field in fields(Script)}
    script = Script().with_values(SERIAL if given["serial"] else {})
    script = script.with_values({name: value for name, value in given.items() if name in names})
    config = uvicorn.Config(
        Server(script).app(),
        host=given["host"],
        port=given["port"],
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        lifespan="off",
        log_level="critical",
        timeout_keep_alive=given["keep_alive_s"],
        timeout_graceful_shutdown=1,
        ssl_certfile=given["ssl_certfile"],
        ssl_keyfile=given["ssl_keyfile"],
    )
    socket = config.bind_socket()
    host, port = socket.getsockname()[:2]
    print(f"http{'s' if config.is_ssl else ''}://{host}:{port}/v1", flush=True)
    uvicorn.Server(config).run(sockets=[socket])


if __name__ == "__main__":
    main()
