"""`/v1/chat/completions`, `/v1/responses` and `/v1/models`: the same agents, asked in words over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from agents.errors import ClientError
from agents.interfaces import Message
from sessions import host, services
from sessions.access import agent_for, agents_of
from sessions.api import json_answer, parsed
from sessions.auth import Principal, authenticate_http
from sessions.errors import UnknownResponse, request_id
from sessions.host import new_id
from sessions.operations import described, queried
from sessions.protocols.chat_completions import ChatRequest, ChatWriter, read_chat
from sessions.protocols.responses_answers import ResponseWriter
from sessions.protocols.responses_requests import ResponseRequest, read_response
from sessions.text_records import TextSession
from sessions.text_replies import TextOrder, TextReply
from sessions.text_shapes import ChatCompletion, DeletedResponse, FollowQuery, Model, ModelList, Response
from telemetry import counters, names

STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""nginx would gather the events of a stream otherwise."""
PIECE = 64 * 1024
"""Bytes that a reader must take within the write timeout; the last event of a long answer is many of them."""


@described(scope="text", body=ChatRequest, answer=ChatCompletion, events=True, refusals=(404, 502, 504))
async def chat_completions(request: HttpRequest) -> HttpResponseBase:
    """Ask an agent in words, the way of chat completions."""
    principal = await authenticate_http(request, scope="text")
    asked = parsed(request, ChatRequest)
    spec = await database_sync_to_async(agent_for)(principal, asked.model)
    wanted = read_chat(asked, spec, allowed=principal.overrides(spec), bounds=settings.REPARTEE_BOUNDS)
    reply_id = new_id("chatcmpl")
    options = asked.stream_options
    writer = ChatWriter(
        reply_id,
        model=asked.model or spec.slug,
        created=int(time.time()),
        include_usage=bool(options and options.include_usage),
    )
    session = await services.new_text_session(spec, principal=principal)
    order = TextOrder(reply_id=reply_id, owner=principal.account, request=wanted, writer=writer, session=session)
    reply = await services.start_text_reply(order, principal=principal)
    _end_with(reply, _request_task())
    if asked.stream:
        return await _streamed_once_begun(reply)
    await reply.wait()
    return _whole(reply)


@described(scope="text", body=ResponseRequest, answer=Response, events=True, refusals=(404, 502, 504))
async def create_response(request: HttpRequest) -> HttpResponseBase:
    """Ask an agent in words, the way of responses."""
    principal = await authenticate_http(request, scope="text")
    asked = parsed(request, ResponseRequest)
    spec = await database_sync_to_async(agent_for)(principal, asked.model)
    session, history = await _gone_on_from(asked.previous_response_id, principal)
    if session is None or session.spec != spec:
        session = await services.new_text_session(spec, principal=principal)
    replies = (await host.current()).replies
    wanted = read_response(
        asked,
        spec,
        allowed=principal.overrides(spec),
        bounds=settings.REPARTEE_BOUNDS,
        history=history,
        known=lambda: replies.items(principal.account),
    )
    reply_id = new_id("resp")
    writer = ResponseWriter(
        reply_id,
        asked,
        model=asked.model or spec.slug,
        created=int(time.time()),
        refused=wanted.refused,
        new_id=new_id,
    )
    order = TextOrder(
        reply_id=reply_id,
        owner=principal.account,
        request=wanted,
        writer=writer,
        session=session,
        stored=asked.store is not False,
        asked_bytes=len(request.body),
    )
    reply = await services.start_text_reply(order, principal=principal)
    if not asked.background:
        _end_with(reply, _request_task())
    if asked.stream:
        return _streamed(reply)
    if not asked.background:
        await reply.wait()
    return _whole(reply)


@described(scope="text", query=FollowQuery, answer=Response, events=True, refusals=(404,))
async def get_response(request: HttpRequest, response_id: str) -> HttpResponseBase:
    """The response as it stands; with `?stream=true` its events, from the one after `starting_after` on."""
    reply = await _stored(request, response_id)
    query = queried(request, FollowQuery)
    if not query.stream:
        return json_answer(reply.shown())
    return _streamed(reply, after=_last_event(request) if query.starting_after is None else query.starting_after)


@described(scope="text", answer=Response, refusals=(404,))
async def cancel_response(request: HttpRequest, response_id: str) -> HttpResponse:
    """Stop it. One that has ended stays as it is, so this may be repeated."""
    reply = await _stored(request, response_id)
    reply.cancel()
    await reply.wait()
    return json_answer(reply.shown())


@described(scope="text", answer=DeletedResponse, refusals=(404,))
async def delete_response(request: HttpRequest, response_id: str) -> HttpResponse:
    """Stop a response, and forget it."""
    reply = await _stored(request, response_id)
    (await host.current()).replies.forget(reply)
    return json_answer({"id": response_id, "object": "response", "deleted": True})


@described(scope="text", answer=ModelList)
async def list_models(request: HttpRequest) -> HttpResponse:
    """The agents that the key may use."""
    principal = await authenticate_http(request, scope="text")
    slugs = await database_sync_to_async(agents_of)(principal)
    return json_answer({"object": "list", "data": [_model(slug) for slug in slugs]})


@described(scope="text", answer=Model, refusals=(404,))
async def get_model(request: HttpRequest, model: str) -> HttpResponse:
    """An agent, also by one of OpenAI's names."""
    principal = await authenticate_http(request, scope="text")
    await database_sync_to_async(agent_for)(principal, model)
    return json_answer(_model(model))


# --- what they share -----------------------------------------------------------------------------


async def _stored(request: HttpRequest, response_id: str) -> TextReply:
    principal = await authenticate_http(request, scope="text")
    return (await host.current()).replies.get(response_id, principal.account)


async def _gone_on_from(response_id: str | None, principal: Principal) -> tuple[TextSession | None, Sequence[Message]]:
    if response_id is None:
        return None, ()
    try:
        reply = (await host.current()).replies.get(response_id, principal.account)
    except UnknownResponse:
        raise ClientError(
            f"Previous response with id '{response_id[:100]}' not found.",
            code="previous_response_not_found",
            param="previous_response_id",
        ) from None
    if reply.outcome is None:
        raise ClientError("The previous response is still in progress.", param="previous_response_id")
    return reply.session, reply.conversation


def _last_event(request: HttpRequest) -> int:
    """The number of the last event that the client has, as its EventSource says by itself; -1 for none."""
    given = request.headers.get("Last-Event-ID")
    if not given:
        return -1
    if not given.isdecimal() or len(given) > 18:
        raise ClientError("Last-Event-ID must be the number of an event.", param="Last-Event-ID")
    return int(given)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "repartee"}


def _whole(reply: TextReply) -> HttpResponse:
    """The answer in one piece. One that failed is an error, whatever came before: nobody has seen it."""
    fault = reply.outcome.fault if reply.outcome else None
    if fault is not None:
        return json_answer({"error": fault.details()}, status=fault.status)
    return json_answer(reply.shown())


async def _streamed_once_begun(reply: TextReply) -> HttpResponseBase:
    """A failure before the first word is still an HTTP error, unless the client had to be kept waiting."""
    await reply.wait(begun=True, within_s=settings.REPARTEE_BOUNDS.keepalive_s)
    failed = reply.outcome is not None and reply.outcome.fault is not None and not reply.begun
    return _whole(reply) if failed else _streamed(reply)


def _streamed(reply: TextReply, *, after: int = -1) -> StreamingHttpResponse:
    frames = _impatient(reply.follow(after), _request_task(), settings.REPARTEE_BOUNDS.write_timeout_s)
    headers = {"X-Request-Id": request_id(), **STREAM_HEADERS}
    return StreamingHttpResponse(frames, content_type="text/event-stream", headers=headers)


async def _impatient(
    frames: AsyncGenerator[bytes, None], task: asyncio.Task[Any], limit_s: float
) -> AsyncGenerator[bytes, None]:
    """`frames` in pieces, and the end of `task` if one is not taken within `limit_s`: the client does not read."""

    def give_up() -> None:
        if task.cancel():  # else it has left meanwhile, and nobody has closed this generator yet
            counters.count(names.SLOW_CLIENTS)

    loop = asyncio.get_running_loop()
    async with aclosing(frames):
        async for frame in frames:
            for at in range(0, len(frame), PIECE):
                timer = loop.call_later(limit_s, give_up)
                try:
                    yield frame[at : at + PIECE]
                finally:
                    timer.cancel()


def _request_task() -> asyncio.Task[Any]:
    """The task of this request, which Django cancels when the client leaves. All middleware is async for its sake."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a view runs in one
    return task


def _end_with(reply: TextReply, task: asyncio.Task[Any]) -> None:
    """Nobody waits for the answer once `task` is over: the client has it, or has left."""
    task.add_done_callback(lambda _: reply.cancel())
