from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from agents.models import Agent
from agents.providers.local.models import LocalModels, LocalOptions
from agents.providers.openai_compatible.client import Clients
from sessions import host
from sessions.cluster.handles import LocalHandle
from sessions.host import SessionHost
from sessions.journal import DatabaseJournal
from sessions.models import ApiKey, ItemText, Session
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.records import ItemRecorded, SessionClosed, SessionOpened, TurnRecorded
from sessions.recording import store
from telemetry.models import Turn
from tests.scenario import Kept
from tests.unit.telemetry.turns import SPOKEN, turn

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
WORDS = "Rain is likely, <b>so</b> take an umbrella with you."


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("admin"))
    return client


def said(n: int, role: str, text: str, **about: object) -> ItemRecorded:
    return ItemRecorded("sess_1", n, f"item_{n}", 0, "message", role, text, NOW, **about)  # type: ignore[arg-type]  # as given


def conversation(*, store_text: bool = True, heard_chars: int | None = 15) -> None:
    faster = {**SPOKEN, "seg[0].tts_first_audible": 2540, "first_audio_sent": 2550}
    cut = {"heard_ms": 1500, "audio_ms": 5000, "interrupted": True, "heard_chars": heard_chars}
    store(
        [
            SessionOpened("sess_1", "guide", 3, "websocket", "api_key", NOW - timedelta(minutes=1), store_text),
            said(0, "user", "Will it rain?"),
            said(1, "assistant", WORDS, **cut),
            TurnRecorded(turn(session_id="sess_1", end_reason="interrupted")),
            TurnRecorded(turn(faster, session_id="sess_1", index=1)),
            SessionClosed("sess_1", NOW, "hang_up"),
        ]
    )


def page(staff: Client, name: str, *args: object) -> str:
    return staff.get(reverse(f"admin:{name}", args=args)).content.decode()


def session_page(staff: Client) -> str:
    return page(staff, "voice_sessions_session_change", "sess_1")


def test_a_session_is_shown_as_a_conversation(staff: Client) -> None:
    conversation()
    html = session_page(staff)
    assert html.index("Will it rain?") < html.index("Rain is likely")
    assert f'{escape(WORDS[:15])}<span class="unheard" title="not heard">{escape(WORDS[15:])}</span>' in html
    assert "interrupted after 1500 ms" in html
    assert "estimated)" not in html
    assert html.count("<svg class='waterfall'") == 2
    assert "850.0" in html


def test_the_conversation_shows_how_far_the_answers_audio_got_and_who_says_so(staff: Client) -> None:
    facts: dict[str, str | float] = {
        "generated_ms": 5200,
        "released_ms": 4100,
        "delivered_ms": 4000,
        "played_ms": 3700,
        "words_generated": 19,
        "words_released": 15,
        "words_delivered": 14,
        "words_heard": 13,
        "heard_by": "reported",
        "words_by": "estimated",
    }
    opened = SessionOpened("sess_1", "guide", 3, "websocket", "api_key", NOW, store_text=True)
    answered = TurnRecorded(turn(facts=facts, session_id="sess_1"))
    store([opened, said(0, "assistant", WORDS), answered, TurnRecorded(turn(session_id="sess_1", index=1))])
    html = session_page(staff)
    assert html.count('aria-label="Playback"') == 1, "a turn that has no such figures shows none"
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", html[html.index('aria-label="Playback"') :])
    assert cells[:12] == [
        *("generated", "5200", "19", "server"),
        *("released", "4100", "15", "server"),
        *("delivered", "4000", "14", "server"),
    ]
    assert cells[12:16] == ["heard", "3700", "13", "reported, words placed by their length"]


def test_without_better_the_cut_is_estimated_by_the_share_of_audio(staff: Client) -> None:
    conversation(heard_chars=None)
    heard = round(len(WORDS) * 0.3)
    html = session_page(staff)
    assert f"{escape(WORDS[:heard])}<span" in html
    assert "the cut in the words is estimated" in html


def test_text_that_is_not_stored_is_said_to_be_so_with_the_way_to_change_it(staff: Client) -> None:
    agent = Agent.objects.create(slug="guide", name="Guide")
    conversation(store_text=False)
    html = session_page(staff)
    assert ItemText.objects.count() == 0
    assert html.count("<em>text not stored</em>") == 2
    assert f'href="{reverse("admin:agents_agent_change", args=[agent.pk])}#id_store_text"' in html


def test_the_privacy_link_leads_to_a_field_that_exists(staff: Client) -> None:
    agent = Agent.objects.create(slug="guide", name="Guide")
    assert 'id="id_store_text"' in page(staff, "agents_agent_change", agent.pk)


def test_the_list_shows_latency_jitter_and_end(staff: Client) -> None:
    conversation()
    html = page(staff, "voice_sessions_session_changelist")
    shown = [re.sub(r"\s", " ", value) for value in re.findall(r"<div>(\d+\sms)</div>", html)]
    assert shown == ["750 ms", "850 ms", "100 ms"]
    assert "hang up" in html
    live = staff.get(reverse("admin:voice_sessions_session_changelist"), {"state": "live"}).content.decode()
    assert "sess_1" not in live


def test_listing_more_sessions_takes_no_more_queries(staff: Client, django_assert_max_num_queries: object) -> None:
    for n in range(30):
        store(
            [
                SessionOpened(f"sess_{n}", "guide", 1, "websocket", "api_key", NOW),
                TurnRecorded(turn(session_id=f"sess_{n}")),
            ]
        )
    with django_assert_max_num_queries(15):  # type: ignore[operator]  # pytest-django's fixture
        page(staff, "voice_sessions_session_changelist")


def test_turns_are_listed_with_their_spread_by_provenance(staff: Client) -> None:
    conversation()
    store([TurnRecorded(turn(facts={"client_voice_to_voice_ms": 990}, session_id="sess_1", index=2))])
    html = page(staff, "telemetry_turn_changelist")
    rows = re.findall(r"<tr>\s*<td>guide</td>.*?</tr>", html, re.DOTALL)
    assert [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows] == [
        "guide voice to voice client clock 1 990 990 990 0",
        "guide voice to voice server 2 750 850 850 100",
    ]


def test_a_turn_page_shows_figures_marks_and_the_way_back(staff: Client) -> None:
    conversation()
    row = Turn.objects.get(index=0)
    html = page(staff, "telemetry_turn_change", row.pk)
    assert "<svg class='waterfall'" in html
    assert "llm[0].first_token" in html
    assert row.trace_id in html
    (back,) = re.findall(r'href="(/admin/voice_sessions/session/[^"]+/change/)">sess_1', html)
    assert staff.get(back).status_code == 200


def test_decisions_on_events_are_listed_apart_from_what_was_said(staff: Client) -> None:
    conversation()
    marks = {"turn_open": 0, "event_arrived": 0, "turn_committed": 1, "decided": 12.5}
    decision = {"session_id": "sess_1", "kind": "event", "initiator": "client"}
    store([TurnRecorded(turn(marks, {"decisions": 80, "missed": 3}, index=n, **decision)) for n in (2, 3)])
    html = session_page(staff)
    assert html.count("<svg class='waterfall'") == 2
    (link,) = re.findall(r'href="([^"]+)">2 turns of kind event', html)
    listed = staff.get(link.replace("&amp;", "&")).content.decode()
    assert listed.count("event</td>") == 2
    shown = page(staff, "telemetry_turn_change", Turn.objects.get(index=2).pk)
    assert re.search(r"<td>decision</td><td class=\"number\">12.5</td>", shown)
    assert re.search(r"<code>missed</code></th><td>3.0</td>", shown)


def test_figures_outlive_the_marks(staff: Client) -> None:
    conversation()
    Turn.objects.update(trace=None)
    html = session_page(staff)
    assert "past their retention" in html
    assert "850.0" in html


def test_a_turn_page_without_its_trace_says_so(staff: Client) -> None:
    conversation()
    Turn.objects.update(trace=None)
    html = page(staff, "telemetry_turn_change", Turn.objects.get(index=0).pk)
    assert "past their retention" in html
    assert "never sent, and past its retention" in html
    assert "850.0" in html
    assert "<svg class='waterfall'" not in html


def test_a_conversation_outlives_its_turns(staff: Client) -> None:
    conversation()
    Turn.objects.all().delete()
    html = session_page(staff)
    assert "Will it rain?" in html
    assert "<svg class='waterfall'" not in html


def test_records_are_read_only_and_only_for_staff(staff: Client) -> None:
    conversation()
    url = reverse("admin:voice_sessions_session_change", args=["sess_1"])
    staff.post(url, {"agent": "other"})
    assert Session.objects.get().agent == "guide"
    assert staff.get(reverse("admin:voice_sessions_session_add")).status_code == 403
    assert staff.get(reverse("admin:voice_sessions_session_change", args=["nobody"])).status_code == 404
    staff.force_login(User.objects.create_user("clerk", is_staff=True))
    assert staff.get(url).status_code == 403
    staff.logout()
    assert staff.get(url).status_code == 302


def test_a_key_is_revoked_in_the_list(staff: Client) -> None:
    key = ApiKey.objects.create(name="shop", prefix="rp_12", digest="d" * 64)
    url = reverse("admin:voice_sessions_apikey_changelist")
    staff.post(url, {"action": "revoke", "_selected_action": [key.pk]})
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert "d" * 64 not in page(staff, "voice_sessions_apikey_change", key.pk)


def test_a_key_is_changed_and_revoked_on_its_page(staff: Client) -> None:
    Agent.objects.create(slug="guide")
    key = ApiKey.objects.create(name="shop", prefix="rp_12", digest="d" * 64, agents=["gone"])
    url = reverse("admin:voice_sessions_apikey_change", args=[key.pk])
    shown = staff.get(url).content.decode()
    ticked = re.findall(r'<input[^>]*value="(\w+)"[^>]*\schecked[\s>]', shown)
    assert sorted(ticked) == ["gone", "realtime", "text"]
    assert "Empty: 600, as settings have it." in shown

    changed = {"name": "till", "scopes": ["text", "turns"], "requests_per_minute": "0", "sessions_at_once": ""}
    staff.post(url, {**changed, "agents": ["guide"]})
    key.refresh_from_db()
    assert (key.name, key.scopes, key.agents) == ("till", ["text", "turns"], ["guide"])
    assert (key.requests_per_minute, key.sessions_at_once, key.revoked_at) == (0, None, None)
    assert "no limit / 100" in page(staff, "voice_sessions_apikey_changelist")

    refused = staff.post(url, {**changed, "scopes": ["everything"]})
    assert "is not one of the available choices" in refused.content.decode()

    staff.post(url, {**changed, "voice_sessions_apikey_revoke_this": "1"})
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_the_list_shows_how_full_this_process_is(
    staff: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Headroom" not in page(staff, "voice_sessions_session_changelist")
    models = LocalModels(tmp_path, LocalOptions())
    one = SessionHost(models, Clients(), cast(DatabaseJournal, Kept()), Bounds(arrivals_at_once=1), b"key")
    monkeypatch.setattr(host._Process, "host", one)
    try:
        html = page(staff, "voice_sessions_session_changelist")
        assert "0 sessions live. New sessions are taken." in html
        assert "<td>wait for the event loop</td>" in html
        one.headroom.door.admit()
        assert "New sessions are taken." in page(staff, "voice_sessions_session_changelist")
        one._sessions["sess_1"] = cast(LocalHandle, None)
        assert "New sessions are refused: many came at once." in page(staff, "voice_sessions_session_changelist")
    finally:
        models.close()
