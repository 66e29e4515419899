/** The loudspeaker: plays items in order, stops at once, and knows what was heard. */

import { WIRE_RATE } from "./pcm.js";

const REPORT_EVERY_MS = 500;
const STOP_WAIT_MS = 250;

const toMs = (samples) => Math.round((samples * 1000) / WIRE_RATE);

export class Speaker extends EventTarget {
  #context;
  #node;
  #analyser;
  #waiting = [];
  #reported = { id: null, ms: 0 };

  /**
   * Dispatches "playback" ({id, state, playedMs, time, waitedMs, dryMs}): state is "started" at the first audible sample,
   * "playing" every 500 ms, "stopped" or "ended" at the end, and "progress" in between, for captions.
   * `time` is the context time at which that sample reaches the listener's ear. The item was kept waiting for `waitedMs`
   * before it began, and had gaps of `dryMs` in all; both are null for a state in between.
   * @param {AudioContext} context with playback-worklet.js loaded
   */
  constructor(context) {
    super();
    this.#context = context;
    this.#node = new AudioWorkletNode(context, "repartee-playback", {
      numberOfInputs: 0,
      numberOfOutputs: 1,
      outputChannelCount: [1],
    });
    this.#analyser = new AnalyserNode(context, { fftSize: 1024 });
    this.#node.connect(context.destination);
    this.#node.connect(this.#analyser);
    this.#node.port.onmessage = ({ data }) => this.#hear(data);
  }

  /** What is played, to listen in on. */
  get output() {
    return this.#node;
  }

  /** How loud it is just now, RMS. */
  get level() {
    const samples = new Float32Array(this.#analyser.fftSize);
    this.#analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  }

  /** Seconds from this context's output to the ear, as far as the browser knows. */
  get latency() {
    if (this.#context.outputLatency) return this.#context.outputLatency;
    const { contextTime = 0 } = this.#context.getOutputTimestamp?.() ?? {};
    const behind = contextTime > 0 ? this.#context.currentTime - contextTime : 0;
    return Math.max(behind, this.#context.baseLatency ?? 0);
  }

  /** @param {string} id of the item @param {Int16Array} pcm at 24 kHz */
  play(id, pcm) {
    this.#node.port.postMessage({ push: id, pcm }, [pcm.buffer]);
  }

  /** No more audio of this item will come. */
  finish(id) {
    this.#node.port.postMessage({ finish: id });
  }

  hold(on) {
    this.#node.port.postMessage({ hold: on });
  }

  /** How many ms of audio the line is likely to need in hand, before it has shown it. */
  expect(ms) {
    this.#node.port.postMessage({ expect: ms });
  }

  /** Falls silent within 10 ms. Resolves to what was cut, {id, playedMs}, or null when nothing was playing. */
  clear() {
    this.#node.port.postMessage({ clear: true });
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#answer(null), STOP_WAIT_MS); // a suspended context answers nothing
      this.#waiting.push((stopped) => {
        clearTimeout(timer);
        resolve(stopped);
      });
    });
  }

  close() {
    this.#node.port.postMessage({ close: true });
    this.#node.port.onmessage = null;
    this.#node.disconnect();
  }

  #hear({ events, now, time }) {
    for (const event of events) this.#relay(event);
    if (now) this.#progress(now, time);
  }

  #relay({ type, id, position, time, waited, dry }) {
    const [playedMs, waitedMs, dryMs] = [position, waited, dry].map(toMs);
    if (type === "stopped") this.#answer(id && { id, playedMs });
    if (id === null || type === "underrun") return;
    if (type === "started") this.#reported = { id, ms: 0 };
    else this.#tell(id, type === "audible" ? "started" : type, { playedMs, waitedMs, dryMs }, time);
  }

  #progress({ id, position }, time) {
    const playedMs = toMs(position);
    const due = this.#reported.id === id && playedMs - this.#reported.ms >= REPORT_EVERY_MS;
    if (due) this.#reported = { id, ms: playedMs };
    this.#tell(id, due ? "playing" : "progress", { playedMs, waitedMs: null, dryMs: null }, time);
  }

  #tell(id, state, measures, time) {
    const detail = { id, state, ...measures, time: time + this.latency };
    this.dispatchEvent(new CustomEvent("playback", { detail }));
  }

  #answer(stopped) {
    this.#waiting.shift()?.(stopped);
  }
}
