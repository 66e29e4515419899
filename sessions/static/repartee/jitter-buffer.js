/**
 * What is played, and exactly how much of it.
 *
 * Audio arrives in bursts and leaves sample by sample. On a good line an item is played the moment its first
 * audio is there. A piece is late by the time since the item began to arrive, less what there is to play before
 * it. How much later a piece was than the earliest before it is what an item needs in hand. `targetMs` is what
 * the last items needed; an item begins once it has that in hand, or has waited for MAX_MS. What runs dry goes
 * on when a little is there: it then lags behind the sender, and has that much more. `clear`, `hold` and
 * running dry fade over 5 ms, so nothing clicks.
 *
 * Pure: `render` is the only clock. `events` collects what happened, with `at` counted in rendered samples
 * since the start, and in samples of the item its `position`, how long it `waited` to begin and was `dry`.
 */

const MAX_MS = 240; // a longer wait is worse than what it would hide
const LEAST_MS = 5;
const REMEMBERS = 8; // items
const AGAIN_MS = 60; // after running dry: one piece of 100 ms, or two small ones
const FADE_MS = 5;
const AUDIBLE = 0.004; // -48 dBFS: the first sample that a listener can notice
const TAIL_DECAY = 0.96; // a sample: 5 ms from full level to nothing, when audio runs dry

export class JitterBuffer {
  targetMs = 0;
  underruns = 0;
  events = [];
  #rate;
  #perMs;
  #needs = [];
  #items = [];
  #rendered = 0;
  #primed = false;
  #gain = 0;
  #held = false;
  #clearing = false;
  #tail = 0;

  constructor(rate) {
    this.#rate = rate;
    this.#perMs = rate / 1000;
  }

  /** More audio of an item; a new `id` queues behind the item before it. @param {Int16Array} samples */
  push(id, samples) {
    let item = this.#items.at(-1);
    if (item?.id !== id || item.complete) {
      item = { id, chunks: [], offset: 0, buffered: 0, position: 0, complete: false, started: false, audible: false };
      Object.assign(item, { began: this.#rendered, received: 0, best: 0, needed: 0, waited: 0, dry: 0, steady: true });
      this.#items.push(item);
    }
    this.#learn(item);
    item.chunks.push(samples);
    item.buffered += samples.length;
    item.received += samples.length;
  }

  /** No more audio of this item will come. */
  finish(id) {
    for (const item of this.#items) if (item.id === id) item.complete = true;
  }

  /** A first guess, until items have shown what the line needs. */
  expect(targetMs) {
    if (this.#needs.length === 0) this.targetMs = Math.max(this.targetMs, targetMs);
  }

  /** Stop now and forget everything; answered by a "stopped" event. */
  clear() {
    this.#held = false;
    if (this.#gain > 0) this.#clearing = true;
    else this.#drop();
  }

  hold(on) {
    this.#held = on;
    for (const item of this.#items) item.steady = false; // the sender pauses too
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

  /** A piece of `item` has come: how late, for its place in it, against the piece that was earliest so far? */
  #learn(item) {
    const late = this.#rendered - item.began - item.received;
    if (late > MAX_MS * this.#perMs) item.steady = false; // no line: the sender had nothing to say
    if (!item.steady) return;
    item.best = Math.min(item.best, late);
    item.needed = Math.max(item.needed, (late - item.best) / this.#perMs);
    this.targetMs = Math.max(this.targetMs, item.needed);
  }

  /** What all but one of the last items needed: one bad moment is not paid for by all that come after it. */
  #settle(item) {
    this.#needs = [...this.#needs, item.needed].slice(-REMEMBERS);
    const [most, next = most] = [...this.#needs].sort((a, b) => b - a);
    const enough = this.#needs.length < 3 ? most : next;
    this.targetMs = enough < LEAST_MS ? 0 : enough;
  }

  #fade() {
    const step = 1000 / (FADE_MS * this.#rate);
    const goal = this.#held || this.#clearing || !this.#primed ? 0 : 1;
    this.#gain = goal > this.#gain ? Math.min(1, this.#gain + step) : Math.max(0, this.#gain - step);
  }

  #ready(item) {
    if (item.buffered === 0 && !item.complete) {
      if (this.#primed) this.#underrun(item);
      if (item.started) item.dry += 1;
      return false;
    }
    if (item.buffered === 0) {
      this.#end(item);
      return false;
    }
    if (!this.#primed) this.#primed = item.complete || this.#enough(item);
    if (!this.#primed && item.started) item.dry += 1;
    return this.#primed;
  }

  #enough(item) {
    if (item.started) return item.buffered >= AGAIN_MS * this.#perMs;
    const waited = this.#rendered - item.began;
    return waited - item.best >= this.targetMs * this.#perMs || waited >= MAX_MS * this.#perMs;
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
      item.waited = this.#rendered - item.began;
      this.#emit("started", item);
    }
    if (!item.audible && Math.abs(sample) > AUDIBLE) {
      item.audible = true;
      this.#emit("audible", item);
    }
  }

  #underrun(item) {
    this.#primed = false;
    this.#gain = 0;
    this.underruns += 1;
    this.#emit("underrun", item);
  }

  #end(item) {
    this.#settle(item);
    this.#emit("ended", item);
    this.#items.shift();
    this.#primed = false;
    this.#gain = 0;
  }

  #drop() {
    if (this.#items[0]?.started) this.#settle(this.#items[0]);
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
    const { id = null, position = 0, waited = 0, dry = 0 } = item ?? {};
    this.events.push({ type, id, position, at: this.#rendered, waited, dry });
  }

  /** What is being played, or waits to be. */
  get now() {
    const item = this.#items[0];
    return item ? { id: item.id, position: item.position } : null;
  }
}
