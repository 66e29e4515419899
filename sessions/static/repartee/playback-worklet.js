/**
 * The loudspeaker, on the audio thread: the jitter buffer at 24 kHz, resampled to the hardware's rate.
 *
 * Takes {push: id, pcm}, {finish: id}, {clear: true}, {hold: bool}, {expect: ms}, {close: true}. Posts {events, now, time}
 * when something happened, and every 50 ms while playing; each event's `time` is the context time at which
 * its sample leaves this node.
 */

import { JitterBuffer } from "./jitter-buffer.js";
import { WIRE_RATE } from "./pcm.js";
import { Resampler } from "./resampler.js";

const PULL = 32;
const REPORT_S = 0.05;

class Playback extends AudioWorkletProcessor {
  #buffer = new JitterBuffer(WIRE_RATE);
  #resampler = new Resampler(WIRE_RATE, sampleRate);
  #pulled = new Float32Array(PULL);
  #ready = new Float32Array(4096);
  #count = 0;
  #scratch = new Float32Array(1024);
  #startTime = null;
  #reported = 0;
  #closed = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#obey(data);
  }

  #obey(data) {
    if (data.push) this.#buffer.push(data.push, data.pcm);
    if (data.finish) this.#buffer.finish(data.finish);
    if (data.clear) this.#buffer.clear();
    if ("hold" in data) this.#buffer.hold(data.hold);
    if ("expect" in data) this.#buffer.expect(data.expect);
    if (data.close) this.#closed = true;
  }

  process(_inputs, [[output]]) {
    this.#startTime ??= currentTime;
    while (this.#count < output.length) {
      this.#buffer.render(this.#pulled);
      const made = this.#resampler.process(this.#pulled, this.#scratch);
      this.#ready.set(this.#scratch.subarray(0, made), this.#count);
      this.#count += made;
    }
    output.set(this.#ready.subarray(0, output.length));
    this.#ready.copyWithin(0, output.length, this.#count);
    this.#count -= output.length;
    this.#report();
    return !this.#closed;
  }

  #report() {
    const due = this.#buffer.now !== null && currentTime - this.#reported >= REPORT_S;
    if (this.#buffer.events.length === 0 && !due) return;
    const events = this.#buffer.events.map((event) => ({ ...event, time: this.#startTime + event.at / WIRE_RATE }));
    this.#buffer.events.length = 0;
    this.#reported = currentTime;
    this.port.postMessage({ events, now: this.#buffer.now, time: currentTime });
  }
}

registerProcessor("repartee-playback", Playback);
