"""The page's sound, module by module, in a real browser: figures, not impressions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.chromium import Chromium, TalkPage
from tests.processes import Server


@pytest.fixture
def talk(chromium: Chromium, live_server_process: Server) -> Iterator[TalkPage]:
    with chromium.open(live_server_process.url) as page:
        yield page


def run(talk: TalkPage, module: str, body: str, argument: Any = None) -> Any:
    """What `body` returns, with the module's exports as `m` and `argument` as `a`."""
    return talk.page.evaluate(
        f"async (a) => {{ const m = await import('/static/repartee/{module}'); {body} }}", argument
    )


TONE = """
const run = (from, to, hz) => {
  const resampler = new m.Resampler(from, to);
  const out = new Float32Array(to * 2);
  const scratch = new Float32Array(4096);
  let count = 0;
  for (let start = 0; start < from; start += 128) {
    const block = Float32Array.from({ length: 128 }, (_, i) => Math.sin((2 * Math.PI * hz * (start + i)) / from));
    const n = resampler.process(block, scratch);
    out.set(scratch.subarray(0, n), count);
    count += n;
  }
  return [out, count];
};
const power = (out, count, skip, ideal) => {
  let sum = 0;
  for (let n = skip; n < count - skip; n++) sum += (out[n] - ideal(n)) ** 2;
  return 10 * Math.log10(sum / (count - 2 * skip) / 0.5 + 1e-15);
};
"""


@pytest.mark.parametrize(("source", "target"), [(48_000, 24_000), (44_100, 24_000), (16_000, 24_000), (24_000, 48_000)])
def test_a_tone_is_resampled_in_its_place(source: int, target: int, talk: TalkPage) -> None:
    """Output sample n is input position n * source / target: no delay, and errors below -70 dB."""
    body = TONE + (
        "const [out, count] = run(a[0], a[1], 1000);"
        "const ideal = (n) => Math.sin((2 * Math.PI * 1000 * n) / a[1]);"
        "return [count, power(out, count, 200, ideal)];"
    )
    count, error_db = run(talk, "resampler.js", body, [source, target])
    assert target - 200 < count <= target + 200
    assert error_db < -70


@pytest.mark.parametrize("source", [48_000, 44_100])
def test_what_24_khz_cannot_hold_is_filtered_out(source: int, talk: TalkPage) -> None:
    body = TONE + "const [out, count] = run(a, 24000, 14000); return power(out, count, 200, () => 0);"
    assert run(talk, "resampler.js", body, source) < -70


def test_base64_survives_the_round_trip(talk: TalkPage) -> None:
    body = "return Array.from(m.fromBase64(m.toBase64(Int16Array.from(a))));"
    samples = [0, 1, -1, 32767, -32768, 12345] * 5_000
    assert run(talk, "pcm.js", body, samples) == samples


BUFFER = """
const buffer = new m.JitterBuffer(24000);
const tone = (ms) => new Int16Array(ms * 24).fill(8000);
const play = (ms) => { const out = new Float32Array(ms * 24); buffer.render(out); return out; };
const events = () => buffer.events.splice(0).map(({ type, id, position }) => [type, id, Math.round(position / 24)]);
"""


def test_playing_starts_at_once_and_counts_every_sample(talk: TalkPage) -> None:
    body = BUFFER + (
        "buffer.push('a', tone(40)); play(20); const going = events();"
        "buffer.push('a', tone(60)); play(40); const at = buffer.now.position / 24;"
        "buffer.finish('a'); play(100); return [going, at, events(), buffer.now];"
    )
    going, at, end, now = run(talk, "jitter-buffer.js", body)
    assert [event[0] for event in going] == ["started", "audible"]
    assert at == pytest.approx(60, abs=0.1)
    assert end == [["ended", "a", 100]]
    assert now is None


# Items of 40 ms and then 100 ms, which come 300 ms ahead of the ear; piece n comes `late[n]` ms after its time.
LINE = """
const item = (id, late) => {
  const pieces = Array.from({ length: 10 }, (_, n) => ({ at: Math.max(0, 100 * n - 360) + (late[n] ?? 0), n }));
  for (const [n, piece] of pieces.entries()) if (n) piece.at = Math.max(piece.at, pieces[n - 1].at);
  const played = [];
  for (let now = 0; now < 1_600; now++) {
    for (const piece of pieces) if (piece.at === now) buffer.push(id, tone(piece.n ? 100 : 40));
    if (pieces.at(-1).at === now) buffer.finish(id);
    play(1);
    played.push(...buffer.events.splice(0));
  }
  const of = (name) => played.find(({ type }) => type === name);
  return {
    waited: Math.round(of("started").waited / 24),
    dry: Math.round(of("ended").dry / 24),
    underruns: played.filter(({ type }) => type === "underrun").length,
  };
};
const stalled = { 6: 500 };
"""


def test_a_line_that_stalls_now_and_then_is_waited_for(talk: TalkPage) -> None:
    """500 ms of nothing, with 300 ms in hand: the first time that is a gap, and then a later beginning."""
    body = BUFFER + LINE + "return [item('a', stalled), item('b', stalled), item('c', stalled)];"
    first, second, third = run(talk, "jitter-buffer.js", body)
    assert first["waited"] <= 1
    assert first["underruns"] == 1
    assert 180 <= first["dry"] <= 240
    assert second["dry"] == third["dry"] == 0
    assert 180 <= second["waited"] <= 240


def test_one_bad_moment_is_forgotten(talk: TalkPage) -> None:
    body = BUFFER + LINE + "return ['a', 'b', 'c', 'd', 'e'].map((id, n) => item(id, n === 2 ? stalled : {}).waited);"
    assert max(run(talk, "jitter-buffer.js", body)) <= 1


def test_an_uneven_line_costs_what_it_is_uneven(talk: TalkPage) -> None:
    uneven = "{ 1: 90, 3: 40, 5: 80 }"
    body = BUFFER + LINE + f"return ['a', 'b', 'c', 'd'].map((id) => item(id, {uneven}));"
    first, *others = run(talk, "jitter-buffer.js", body)
    assert first["underruns"] == 1
    assert [one["dry"] for one in others] == [0, 0, 0]
    assert all(one["waited"] <= 100 for one in others)


def test_a_sender_that_pauses_is_no_bad_line(talk: TalkPage) -> None:
    """Neither a long gap, nor what comes late because playing was held, is waited for by the items after it."""
    body = (
        BUFFER
        + LINE
        + (
            "item('a', { 6: 2_000, 7: 2_000, 8: 2_000, 9: 2_000 }); const after = item('b', {}).waited;"
            "buffer.push('c', tone(40)); play(20); buffer.hold(true); play(100); buffer.hold(false);"
            "buffer.push('c', tone(40)); buffer.finish('c'); play(200); buffer.events.splice(0);"
            "return [after, item('d', {}).waited];"
        )
    )
    assert max(run(talk, "jitter-buffer.js", body.replace("now < 1_600", "now < 4_000"))) <= 1


def test_a_line_not_known_yet_is_guessed_at(talk: TalkPage) -> None:
    body = BUFFER + LINE + "buffer.expect(60); return [item('a', {}), item('b', { 1: 50 }), item('c', {})];"
    even, uneven, again = run(talk, "jitter-buffer.js", body)
    assert even["waited"] <= 1  # all but the first piece come at once, and that is more than was expected
    assert uneven["dry"] <= 10
    assert again["waited"] <= 60


def test_clear_fades_for_5_ms_and_forgets_the_rest(talk: TalkPage) -> None:
    body = BUFFER + (
        "buffer.push('a', tone(1000)); play(100); buffer.clear(); const out = play(100);"
        "const last = out.findLastIndex((x) => Math.abs(x) > 1e-3) / 24;"
        "const step = Math.max(...Array.from(out.slice(1), (x, i) => Math.abs(x - out[i])));"
        "buffer.push('b', tone(100)); play(50);"
        "return [last, step, events()];"
    )
    last_ms, step, events = run(talk, "jitter-buffer.js", body)
    assert 4 < last_ms < 6
    assert step < 0.01  # of a tone at 0.24: no click
    assert [(kind, item) for kind, item, _ in events][2:] == [("stopped", "a"), ("started", "b"), ("audible", "b")]
    assert events[2][2] == pytest.approx(105, abs=1)


def test_a_held_item_goes_on_where_it_was(talk: TalkPage) -> None:
    body = BUFFER + (
        "buffer.push('a', tone(1000)); play(100); buffer.hold(true); play(10); const silent = play(200);"
        "const held = buffer.now.position / 24; buffer.hold(false); play(100);"
        "return [Math.max(...silent), held, buffer.now.position / 24];"
    )
    loudest, held, position = run(talk, "jitter-buffer.js", body)
    assert loudest < 1e-3
    assert held == pytest.approx(105, abs=1)
    assert position == pytest.approx(205, abs=1)


# Powers of 10 ms blocks: playback in syllables, its echo `a.late` blocks later, a person over it now and then.
GUARD = """
const guard = new m.EchoGuard();
let seed = 7;
const random = () => { seed = (seed * 48271) % 2147483647; return seed / 2147483647; };
const syllables = (length) => {
  const levels = [];
  while (levels.length < length) {
    const loud = -30 + 16 * random();
    for (let n = 0; n < 10 + 20 * random(); n++) levels.push(loud);
    for (let n = 0; n < 3 + 15 * random(); n++) levels.push(-75);
  }
  return levels.map((db) => 10 ** (db / 10));
};
const blocks = a.seconds * 100;
const played = syllables(blocks);
const person = syllables(blocks);
const share = { echo: [0, 0], person: [0, 0] };
for (let t = 0; t < blocks; t++) {
  const echo = (played[t - a.late] ?? 0) * 10 ** (a.echo / 10);
  const talks = a.talks && t % 400 > 300;
  const voice = talks ? person[t] * 10 ** (a.voice / 10) : 0;
  const admitted = guard.admits(echo + voice + 1e-8, played[t]);
  if (t < a.from * 100) continue;
  if (talks && person[t] > 1e-4) { share.person[0] += admitted; share.person[1] += 1; }
  if (!talks && t % 400 > 40) { share.echo[0] += admitted; share.echo[1] += 1; }
}
return [share.echo[0] / share.echo[1], share.person[0] / Math.max(1, share.person[1]), guard.couplingDb];
"""


@pytest.mark.parametrize("late", [2, 12, 40])
@pytest.mark.parametrize("echo", [-20, -26, -60])
def test_an_echo_is_silenced_and_a_person_is_not(late: int, echo: int, talk: TalkPage) -> None:
    options = {"seconds": 60, "from": 0, "late": late, "echo": echo, "talks": True, "voice": 0}
    echoes, person, _ = run(talk, "echo-guard.js", GUARD, options)
    assert echoes < 0.005
    assert person > 0.8


def test_a_loud_echo_is_learnt(talk: TalkPage) -> None:
    options = {"seconds": 30, "from": 5, "late": 12, "echo": -10, "talks": False, "voice": 0}
    echoes, _, coupling = run(talk, "echo-guard.js", GUARD, options)
    assert coupling == pytest.approx(-10, abs=3)
    assert echoes < 0.02


def test_without_an_echo_a_quiet_person_is_soon_heard(talk: TalkPage) -> None:
    options = {"seconds": 60, "from": 30, "late": 12, "echo": -90, "talks": True, "voice": -12}
    _, person, coupling = run(talk, "echo-guard.js", GUARD, options)
    assert coupling < -25
    assert person > 0.7


def test_with_nothing_playing_nothing_is_touched(talk: TalkPage) -> None:
    body = (
        "const guard = new m.EchoGuard(); let open = 0;"
        "for (let t = 0; t < 500; t++) open += guard.admits(1e-9, 0); return open;"
    )
    assert run(talk, "echo-guard.js", body) == 500
