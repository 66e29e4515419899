"""A controller steers a running session whose client is on a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets
from websockets.exceptions import InvalidStatus

from benchmarks.harness import Client, client
from tests.conftest import StartServer
from tests.processes import Server, manage

SAID = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is Repartee?"}]}


@pytest.fixture
async def rest(live_server_process: Server) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {live_server_process.key}"}
    async with httpx.AsyncClient(base_url=f"{live_server_process.url}/v1", headers=headers, timeout=20) as rest:
        yield rest


async def created(rest: httpx.AsyncClient, **session: Any) -> dict[str, Any]:
    answer = await rest.post("/sessions", json={"agent": "guide", "session": session})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def recorded(rest: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """The session once its turns and its end have been written; the list of those that ended knows only records."""
    for _ in range(200):
        ended = (await rest.get("/sessions", params={"state": "ended"})).json()["data"]
        shown: dict[str, Any] = (await rest.get(path)).json()
        if shown["turns"] and shown["id"] in [one["id"] for one in ended]:
            return shown
        await asyncio.sleep(0.05)
    pytest.fail("the session's end was not recorded in 10 s")


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def session_of(me: Client) -> dict[str, Any]:
    _, first = me.events[0]
    shown: dict[str, Any] = first["session"]
    return shown


async def test_a_session_from_its_making_to_its_end(live_server_process: Server, rest: httpx.AsyncClient) -> None:
    made = await created(rest, output_modalities=["text"])
    path, secret = f"/sessions/{made['id']}", made["client_secret"]["value"]
    assert made["url"] == f"{live_server_process.ws_url}/v1/realtime?model=guide"

    async with client(live_server_process.ws_url, secret, "guide") as me:
        assert session_of(me)["id"] == made["id"]
        shown = (await rest.get(path)).json()
        assert (shown["state"], shown["agent"], shown["live"]["activity"]) == ("live", "guide", "waiting")
        assert shown["live"]["config"]["output_modalities"] == ["text"]

        item = (await rest.post(f"{path}/items", json={"item": SAID, "response": {}})).json()
        _, added = await me.until("conversation.item.added")
        assert added["item"]["id"] == item["id"]
        _, done = await me.until("response.done")
        words = done["response"]["output"][0]["content"][0]["text"]
        assert "repartee" in words.lower()

        listed = (await rest.get(f"{path}/items")).json()
        assert listed["source"] == "memory"
        assert [(one["role"], one["text"]) for one in listed["data"]] == [
            ("user", "What is Repartee?"),
            ("assistant", words),
        ]
        assert (await rest.get(f"{path}/items", params={"after": item["id"]})).json()["data"] == listed["data"][1:]

        with pytest.raises(InvalidStatus) as again:
            async with client(live_server_process.ws_url, secret, "guide"):
                pytest.fail("a second client")
        assert again.value.response.status_code == 409

        ended = (await rest.post(f"{path}/end")).json()
        assert (ended["state"], ended["end_reason"]) == ("ended", "stopped")
        async with asyncio.timeout(10):
            await me.socket.wait_closed()
        assert (me.socket.close_code, me.socket.close_reason) == (1000, "stopped")
    assert (await rest.get(path)).json()["state"] == "ended"
    shown = await recorded(rest, path)
    assert (shown["end_reason"], shown["turns"], shown["live"]) == ("stopped", 1, None)
    turns = (await rest.get("/turns", params={"session": made["id"]})).json()["data"]
    assert [turn["id"] for turn in turns] == [f"{made['id']}.0"]
    assert "turn_committed" in (await rest.get(f"/turns/{turns[0]['id']}")).json()["trace"]["marks"]


async def test_any_client_can_be_steered_not_only_those_that_were_expected(
    live_server_process: Server, rest: httpx.AsyncClient
) -> None:
    note = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]}
    async with client(live_server_process.ws_url, live_server_process.key, "guide") as me:
        items = f"/sessions/{session_of(me)['id']}/items"
        first = await rest.post(items, json={"item": note})
        assert first.status_code == 201
        again = await rest.post(items, json={"item": {**note, "id": first.json()["id"]}})
        nowhere = await rest.post(items, json={"item": note, "previous_item_id": "item_none"})
        assert code(again) == (400, "item_create_duplicate_item_id")
        assert code(nowhere) == (400, "item_create_invalid_previous_item_id")
        wrong = await rest.post(items, json={"item": {**note, "content": [{"type": "input_text"}]}})
        assert wrong.json()["error"]["param"] == "item.content[0].text"
        _, added = await me.until("conversation.item.added")
        assert added["item"]["role"] == "system"


async def test_a_controller_may_not_change_more_than_the_agent_lets_keys(
    live_server_process: Server, rest: httpx.AsyncClient, tmp_path: Any
) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(
        "agents:\n  - slug: strict\n    instructions: A secret.\n    knowledge: [repartee]\n"
        "    overrides: {server_keys: [], ephemeral: []}\n"
    )
    manage(live_server_process.data, "agent", "apply", str(file))
    async with client(live_server_process.ws_url, live_server_process.key, "strict") as me:
        path = f"/sessions/{session_of(me)['id']}"
        system = await rest.post(f"{path}/items", json={"item": {**SAID, "role": "system"}})
        instructed = await rest.post(f"{path}/items", json={"item": SAID, "response": {"instructions": "Shout."}})
        assert [code(answer) for answer in (system, instructed)] == [(403, "permission_denied")] * 2
        shown = await rest.get(path)
        assert shown.json()["live"]["config"]["instructions"] is None
        assert "A secret." not in shown.text
        assert shown.json()["live"]["items"] == 0


async def test_a_client_that_is_refused_at_the_last_moment_leaves_no_session(start_server: StartServer) -> None:
    """What its secret chose does not go with what it asks for, which is found when its session is put together."""
    server = start_server(REPARTEE_SESSIONS="1")
    async with httpx.AsyncClient(
        base_url=f"{server.url}/v1", headers={"Authorization": f"Bearer {server.key}"}
    ) as rest:
        session = {"session": {"audio": {"input": {"transcription": None}}}}
        secret = (await rest.post("/realtime/client_secrets", json=session)).json()["value"]
    for _ in range(3):
        with pytest.raises(InvalidStatus) as refused:
            async with websockets.connect(
                f"{server.ws_url}/v1/realtime?intent=transcription",
                additional_headers={"Authorization": f"Bearer {secret}"},
            ):
                pass
        assert refused.value.response.status_code == 400
    async with client(server.ws_url, server.key, "guide"):
        pass
