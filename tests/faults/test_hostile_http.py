"""HTTP clients that send too much, too slowly, half of it, or nonsense, against a real server over raw sockets."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests import processes
from tests.processes import Server

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives a request a second for its head and three for its body, of 3 MiB at most."""
    folder, most = tmp_path_factory.mktemp("impatient"), str(3 * MIB)
    with processes.server(data=folder, REPARTEE_HEAD_S="1", REPARTEE_BODY_S="3", REPARTEE_BODY_BYTES=most) as running:
        running.wait_for("/readyz")
        yield running


def line_to(server: Server) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", server.port), timeout=10))


def head(path: str = "/v1/responses", *, method: str = "POST", key: str = "", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {key}"] if key else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(line: socket.socket) -> tuple[int, dict[str, object]]:
    """The status and the JSON of what comes until the server closes the connection; 0 where it just closes."""
    data = b""
    while chunk := line.recv(65_536):
        data += chunk
    if not data:
        return 0, {}
    top, _, body = data.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(body)["error"]


def still_serves(server: Server) -> None:
    assert server.get("/healthz")[0] == 200
    assert "Traceback" not in server.log


def test_a_body_that_says_it_is_too_long_is_refused_unread(impatient: Server) -> None:
    with line_to(impatient) as line:
        line.sendall(head(Content_Length=str(3 * MIB + 1)))
        status, error = answer(line)
    assert (status, error["code"]) == (413, "request_too_large")
    still_serves(impatient)


def test_a_body_that_does_not_say_how_long_it_is_is_refused_when_it_is_too_long(impatient: Server) -> None:
    with line_to(impatient) as line:
        line.sendall(head(Transfer_Encoding="chunked"))
        for _ in range(3 * 16 + 1):
            line.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")
        status, error = answer(line)
    assert (status, error["code"]) == (413, "request_too_large")
    still_serves(impatient)


def test_who_goes_on_sending_still_gets_the_answer(impatient: Server) -> None:
    with line_to(impatient) as line:
        line.sendall(head(Content_Length=str(8 * MIB)) + bytes(2 * MIB))
        time.sleep(0.1)  # the answer is there, and the client has not looked yet
        line.sendall(bytes(2 * MIB))
        status, error = answer(line)
    assert (status, error["code"]) == (413, "request_too_large")
    still_serves(impatient)


def test_a_body_that_never_comes_is_not_waited_for(impatient: Server) -> None:
    with line_to(impatient) as line:
        began = time.monotonic()
        line.sendall(head(Content_Length="100") + b'{"inp')
        status, error = answer(line)
    assert (status, error["code"]) == (408, "request_timeout")
    assert time.monotonic() - began < 8
    still_serves(impatient)


@pytest.mark.parametrize("sent", [b"", b"POST /v1/resp", b"POST /v1/responses HTTP/1.1\r\nHost: local"])
def test_a_head_that_never_ends_is_not_waited_for(impatient: Server, sent: bytes) -> None:
    with line_to(impatient) as line:
        began = time.monotonic()
        line.sendall(sent)
        assert answer(line) == (0, {})
    assert time.monotonic() - began < 5
    still_serves(impatient)


def test_a_second_head_that_never_ends_is_not_waited_for(impatient: Server) -> None:
    with line_to(impatient) as line:
        line.sendall(head("/healthz", method="GET"))
        data = b""
        while not data.endswith(b"}"):
            data += line.recv(65_536)
        assert data.startswith(b"HTTP/1.1 200")
        line.sendall(b"GET /heal")
        began = time.monotonic()
        assert line.recv(65_536) == b""
    assert time.monotonic() - began < 5


ADDRESSES = ["/v1/responses", "/v1/chat/completions", "/v1/sessions", "/v1/realtime/client_secrets"]


@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'"' * 1000, b"[" * 100_000, b"7"])
def test_a_malformed_body_is_a_400(impatient: Server, path: str, body: bytes) -> None:
    with line_to(impatient) as line:
        line.sendall(head(path, key=impatient.key, Content_Length=str(len(body)), Connection="close") + body)
        status, error = answer(line)
    assert status == 400
    assert error["code"] in ("invalid_json", "invalid_type")
    still_serves(impatient)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../admin", "/v1/%2e%2e/admin", "/v1//responses", "/v1/responses/%00", "/v1/responses/..%2f..%2fetc",
        "/v1/sessions/%ff%fe", "/v1/sessions/' OR 1=1 --/end".replace(" ", "%20"), "/v1/models/" + "x" * 5000,
        "/v1/turns/%E2%80%AE.1", "/v1/agents/guide/versions/99999999999999999999",
    ],
)  # fmt: skip
def test_a_tricky_path_is_an_address_that_does_not_exist(impatient: Server, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        with line_to(impatient) as line:
            line.sendall(head(path, method=method, key=impatient.key, Content_Length="0", Connection="close"))
            assert answer(line)[0] in (404, 405)
    still_serves(impatient)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "OPTIONS", "HEAD", "PROPFIND"])
def test_a_method_that_an_address_does_not_take_is_a_405(impatient: Server, method: str) -> None:
    with line_to(impatient) as line:
        line.sendall(head(method=method, key=impatient.key, Content_Length="0", Connection="close"))
        assert line.recv(65_536).startswith(b"HTTP/1.1 405")
    still_serves(impatient)


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: -1\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"X: " + b"x" * 100_000 + b"\r\n",
        b"X\x00Y: 1\r\n",
    ],
)
def test_headers_that_mislead_are_refused_or_have_no_effect(impatient: Server, lines: bytes) -> None:
    with line_to(impatient) as line:
        line.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + lines + b"\r\n")
        data = b""
        while chunk := line.recv(65_536):
            data += chunk
    assert data == b"" or int(data.split()[1]) in (400, 401, 408, 413, 431)
    still_serves(impatient)
