/**
 * What is played, and exactly how much of it.
 *
 * Audio arrives in bursts and leaves sample by sample. Playing starts once `targetMs` is there, or all of
 * the item. When it runs dry in the middle of an item, the target grows by a step; after a minute of
 * smooth playing it shrinks again. `clear` and `hold` fade over 5 ms, so nothing clicks.
 *
 * Pure: `render` is the only clock. `events` collects what happened, with `at` counted in rendered samples
 * since the start and `position` in samples of the item.
 */

const START_MS = 40;
const MAX_MS = 240;
const STEP_MS = 30;
const FADE_MS = 5;
const SMOOTH_S = 60;
const AUDIBLE = 0.004; // -48 dBFS: the first sample that a listener can notice
const TAIL_DECAY = 0.96; // a sample: 5 ms from full level to nothing, when audio runs dry

export class JitterBuffer {
  targetMs = START_MS;
  underruns = 0;
  events = [];
  #rate;
  #items = [];
  #rendered = 0;
  #primed = false;
  #gain = 0;
  #held = false;
  #clearing = false;
  #tail = 0;
  #smooth = 0;

  constructor(rate) {
    this.#rate = rate;
  }

  /** More audio of an item; a new `id` queues behind the item before it. @param {Int16Array} samples */
  push(id, samples) {
    let item = this.#items.at(-1);
    if (item?.id !== id || item.complete) {
      item = { id, chunks: [], offset: 0, buffered: 0, position: 0, complete: false, started: false, audible: false };
      this.#items.push(item);
    }
    item.chunks.push(samples);
    item.buffered += samples.length;
  }

  /** No more audio of this item will come. */
  finish(id) {
    for (const item of this.#items) if (item.id === id) item.complete = true;
  }

  /** Stop now and forget everything; answered by a "stopped" event. */
  clear() {
    this.#held = false;
    if (this.#gain > 0) this.#clearing = true;
    else this.#drop();
  }

  hold(on) {
    this.#held = on;
  }

  /** @param {Float32Array} output filled with the next samples, silence where there are none */
  render(output) {
    for (let i = 0; i < output.length; i++) {
      output[i] = this.#next();
      this.#rendered += 1;
    }
  }

  #next() {
    this.#fade();
    if (this.#gain === 0 && (this.#held || this.#clearing)) {
      if (this.#clearing) this.#drop();
      return this.#runOut();
    }
    const item = this.#items[0];
    if (!item || !this.#ready(item)) return this.#runOut();
    const sample = (this.#read(item) / 32768) * this.#gain;
    this.#note(item, sample);
    this.#tail = sample;
    if (item.complete && item.buffered === 0) this.#end(item);
    return sample;
  }

  #fade() {
    const step = 1000 / (FADE_MS * this.#rate);
    const goal = this.#held || this.#clearing || !this.#primed ? 0 : 1;
    this.#gain = goal > this.#gain ? Math.min(1, this.#gain + step) : Math.max(0, this.#gain - step);
  }

  #ready(item) {
    if (item.buffered === 0 && !item.complete) {
      if (this.#primed) this.#underrun(item);
      return false;
    }
    if (item.buffered === 0) {
      this.#end(item);
      return false;
    }
    if (!this.#primed && (item.complete || item.buffered >= (this.targetMs * this.#rate) / 1000)) this.#primed = true;
    return this.#primed;
  }

  #read(item) {
    const chunk = item.chunks[0];
    const sample = chunk[item.offset++];
    item.buffered -= 1;
    item.position += 1;
    if (item.offset === chunk.length) {
      item.chunks.shift();
      item.offset = 0;
    }
    return sample;
  }

  #note(item, sample) {
    if (!item.started) {
      item.started = true;
      this.#emit("started", item);
    }
    if (!item.audible && Math.abs(sample) > AUDIBLE) {
      item.audible = true;
      this.#emit("audible", item);
    }
    this.#smooth += 1;
    if (this.#smooth === SMOOTH_S * this.#rate) {
      this.#smooth = 0;
      this.targetMs = Math.max(START_MS, this.targetMs - STEP_MS);
    }
  }

  #underrun(item) {
    this.#primed = false;
    this.#gain = 0;
    this.#smooth = 0;
    this.underruns += 1;
    this.targetMs = Math.min(MAX_MS, this.targetMs + STEP_MS);
    this.#emit("underrun", item);
  }

  #end(item) {
    this.#emit("ended", item);
    this.#items.shift();
    this.#primed = false;
    this.#gain = 0;
  }

  #drop() {
    this.#emit("stopped", this.#items[0]);
    this.#items = [];
    this.#clearing = false;
    this.#primed = false;
    this.#gain = 0;
  }

  #runOut() {
    this.#tail *= TAIL_DECAY;
    if (Math.abs(this.#tail) < 1e-5) this.#tail = 0;
    return this.#tail;
  }

  #emit(type, item) {
    this.events.push({ type, id: item?.id ?? null, position: item?.position ?? 0, at: this.#rendered });
  }

  /** What is being played, or waits to be. */
  get now() {
    const item = this.#items[0];
    return item ? { id: item.id, position: item.position } : null;
  }
}
