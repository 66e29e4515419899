from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.audio import Audio
from sessions.pipeline.conversation import Conversation
from sessions.pipeline.messages import MessageItem
from sessions.pipeline.utterance import RATE, Arrivals

Chunk = tuple[int, float]
"""ms of audio, and the seconds that passed before it came."""


def arrivals(chunks: list[Chunk]) -> Arrivals:
    book = Arrivals()
    end, at = 0, 0.0
    for ms, after_s in chunks:
        end += ms * RATE // 1000
        at += after_s
        book.note(end, at, rate=24_000, client_end=end * 3 // 2 + 1000)
    return book


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3000), st.floats(0, 3)), min_size=1, max_size=12))
def test_later_samples_never_have_earlier_times(chunks: list[Chunk]) -> None:
    book = arrivals(chunks)
    samples = sum(ms for ms, _ in chunks) * RATE // 1000
    times = [book.time_of(sample) for sample in range(0, samples + 1, max(1, samples // 50))]
    assert times == sorted(times)
    assert times[-1] <= sum(after_s for _, after_s in chunks)


def test_audio_in_real_time_is_put_where_it_was_spoken() -> None:
    book = arrivals([(20, 0.02)] * 100)
    assert abs(book.time_of(RATE) - 1.0) < 1e-6
    assert abs(book.time_of(RATE + 80) - 1.005) < 1e-6


def test_a_sample_is_known_by_the_clients_own_number() -> None:
    book = arrivals([(20, 0.02)] * 100)
    assert book.client_sample(RATE, 512) == 25_000
    assert Arrivals().client_sample(RATE, 512) is None


def test_audio_of_an_item_that_has_gone_is_not_kept() -> None:
    conversation = Conversation(max_items=10, max_chars=100, audio_items=2, audio_ms=1000)
    conversation.add(MessageItem("here", "user"))
    conversation.keep_audio("here", Audio.silence(5000, RATE))
    conversation.keep_audio("gone", Audio.silence(500, RATE))
    conversation.keep_audio("gone too", Audio.silence(500, RATE))
    kept = conversation.audio_of("here")
    assert kept is not None
    assert kept.ms == 1000
    assert conversation.audio_of("gone") is None
