/**
 * One call: what the server says and what the loudspeaker does, as one state and a few events.
 *
 * Knows the protocol, and nothing of the page. Dispatches
 * - "state": {state}: listening, hearing, thinking, speaking, held
 * - "words": {itemId, role, text, final?, append?, atMs?}: captions
 * - "heard": {itemId, playedMs, state}: how far an agent's item was played
 * - "source", "turn", "latency" ({itemId, ms}), "complaint" ({message}), "ended" ({code, reason})
 */

import { fromBase64, toBase64, WIRE_RATE } from "./pcm.js";

const DRAIN_MS = 5_000;
const EXPECTED_AT_MOST_MS = 60; // in hand before the line has shown what it needs: a quarter of its round trip
const BENIGN = new Set(["response_cancel_not_active", "conversation_already_has_active_response"]);

export class Call extends EventTarget {
  state = "listening";
  #connection;
  #microphone;
  #speaker;
  #items = new Map(); // id -> {responseId, receivedMs, userEndSample}
  #silenced = new Set(); // responses cut by the user: what still comes of them is not played
  #response = null;
  #speech = false;
  #awaiting = false;
  #playing = false;
  #held = false;
  #asked = 0;
  #rttMs = null;

  /** @param {{connection: Connection, microphone: Microphone, speaker: Speaker}} parts */
  constructor({ connection, microphone, speaker }) {
    super();
    this.#connection = connection;
    this.#microphone = microphone;
    this.#speaker = speaker;
    connection.addEventListener("event", ({ detail }) => this.#handle(detail));
    connection.addEventListener("closed", ({ detail }) => this.#closed(detail));
    microphone.addEventListener("frame", ({ detail }) => this.#append(detail));
    speaker.addEventListener("playback", ({ detail }) => this.#played(detail));
  }

  /** Say hello: on an empty conversation the server speaks the agent's greeting. */
  start() {
    const transcription = { model: "whisper-1" };
    this.#asked = performance.now();
    this.#send("session.update", { session: { type: "realtime", audio: { input: { transcription } } } });
    this.#send("response.create");
    this.#awaiting = true;
    this.#update();
  }

  #send(type, fields = {}) {
    this.#connection.send({ type, ...fields });
  }

  #append({ pcm, startSample }) {
    this.#send("input_audio_buffer.append", { audio: toBase64(pcm), start_sample: startSample });
  }

  #handle(event) {
    this.#handlers[event.type]?.(event);
    this.#update();
  }

  #handlers = {
    "session.updated": () => {
      if (this.#rttMs !== null) return;
      this.#rttMs = Math.round(performance.now() - this.#asked);
      this.#speaker.expect(Math.min(EXPECTED_AT_MOST_MS, this.#rttMs / 4));
    },
    "input_audio_buffer.speech_started": ({ item_id }) => this.#interrupt(item_id),
    "input_audio_buffer.speech_stopped": () => {
      this.#speech = false;
      this.#awaiting = true;
    },
    "input_audio_buffer.committed": ({ item_id }) => {
      this.#speech = false;
      this.#tell("words", { itemId: item_id, role: "user", text: "", append: true });
    },
    "repartee.partial": ({ item_id, text }) => this.#tell("words", { itemId: item_id, role: "user", text }),
    "conversation.item.input_audio_transcription.delta": ({ item_id, delta }) =>
      this.#tell("words", { itemId: item_id, role: "user", text: delta, append: true }),
    "conversation.item.input_audio_transcription.completed": ({ item_id, transcript }) => {
      if (transcript.trim() === "") this.#awaiting = false;
      this.#tell("words", { itemId: item_id, role: "user", text: transcript, final: true });
    },
    "conversation.item.input_audio_transcription.failed": ({ item_id, error }) => {
      this.#awaiting = false;
      this.#tell("words", { itemId: item_id, role: "user", text: "", final: true });
      this.#tell("complaint", { message: error.message ?? "What you said could not be transcribed." });
    },
    "response.created": ({ response }) => {
      this.#response = response.id;
    },
    "response.output_audio.delta": (event) => this.#play(event),
    "response.output_audio.done": ({ item_id }) => this.#speaker.finish(item_id),
    "response.output_audio_transcript.delta": ({ response_id, item_id, delta }) => {
      const atMs = this.#item(item_id, response_id).receivedMs;
      this.#tell("words", { itemId: item_id, role: "agent", text: delta, append: true, atMs });
    },
    "response.done": ({ response }) => {
      if (this.#response === response.id) this.#response = null;
      this.#awaiting = false;
      if (response.status === "failed") {
        this.#tell("complaint", { message: response.status_details?.error?.message ?? "The answer failed." });
      }
    },
    "repartee.hold": ({ state }) => {
      this.#held = state === "held";
      this.#speaker.hold(this.#held);
    },
    "repartee.turn": ({ trace }) => this.#tell("turn", { trace }),
    "repartee.source": (source) => this.#tell("source", source),
    error: ({ error }) => {
      if (!BENIGN.has(error.code)) this.#tell("complaint", { message: error.message });
    },
  };

  async #interrupt(userItemId) {
    this.#speech = true;
    this.#awaiting = false;
    this.#held = false;
    for (const { responseId } of this.#items.values()) this.#silenced.add(responseId);
    if (this.#response) this.#silenced.add(this.#response);
    this.#tell("words", { itemId: userItemId, role: "user", text: "", append: true });
    const cut = await this.#speaker.clear();
    if (cut === null) return;
    this.#send("conversation.item.truncate", { item_id: cut.id, content_index: 0, audio_end_ms: cut.playedMs });
  }

  #play({ response_id, item_id, delta, user_end_sample }) {
    if (this.#silenced.has(response_id)) return;
    const item = this.#item(item_id, response_id);
    item.userEndSample ??= user_end_sample;
    const pcm = fromBase64(delta);
    item.receivedMs += (pcm.length * 1000) / WIRE_RATE;
    this.#speaker.play(item_id, pcm);
    this.#playing = true;
  }

  #item(id, responseId) {
    if (!this.#items.has(id)) this.#items.set(id, { responseId, receivedMs: 0 });
    return this.#items.get(id);
  }

  #played({ id, state, playedMs, time, waitedMs, dryMs }) {
    const item = this.#items.get(id);
    if (!item) return;
    this.#tell("heard", { itemId: id, playedMs, state });
    if (state !== "progress") {
      const report = { response_id: item.responseId, item_id: id, played_ms: playedMs, state };
      if (waitedMs !== null) Object.assign(report, { jitter_buffer_ms: waitedMs, underrun_ms: dryMs });
      if (this.#rttMs !== null) report.rtt_ms = this.#rttMs;
      const ms = state === "started" ? this.#voiceToVoice(item, time) : null;
      if (ms !== null) {
        report.voice_to_voice_ms = ms;
        this.#tell("latency", { itemId: id, ms });
      }
      this.#send("repartee.playback", report);
    }
    this.#playing = state !== "ended" && state !== "stopped";
    if (!this.#playing) this.#items.delete(id);
    this.#update();
  }

  /** From the last sample of the user's speech at the microphone to the first audible one at the ear, in ms. */
  #voiceToVoice(item, heardAt) {
    if (item.userEndSample === undefined) return null;
    const spokenAt = this.#microphone.timeOf(item.userEndSample, WIRE_RATE);
    return spokenAt === null ? null : Math.max(0, Math.round((heardAt - spokenAt) * 1000));
  }

  async #closed(detail) {
    const until = performance.now() + DRAIN_MS;
    while (detail.code === 1000 && this.#playing && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    this.#tell("ended", detail);
  }

  #update() {
    const busy = this.#awaiting || this.#response !== null;
    const state = this.#held
      ? "held"
      : this.#speech
        ? "hearing"
        : this.#playing
          ? "speaking"
          : busy
            ? "thinking"
            : "listening";
    if (state === this.state) return;
    this.state = state;
    this.#tell("state", { state });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
