/**
 * Streaming sample-rate conversion by a windowed-sinc polyphase filter.
 *
 * Output sample n lies exactly at input position n * from / to, so counting samples on one side is
 * counting them on the other; the filter only makes them come `lookahead` input samples later. Stop band
 * below -70 dB from the lower Nyquist frequency on.
 */

const ROLLOFF = 0.9; // pass band, as a part of the lower Nyquist frequency
const KAISER_BETA = 7.5;
const ZERO_CROSSINGS = 24;

export class Resampler {
  #taps;
  #phases;
  #step;
  #table;
  #held;
  #count;
  #at;
  #phase = 0;

  /** @param {number} from Hz @param {number} to Hz @param {number} longest samples in one `process` call */
  constructor(from, to, longest = 4096) {
    const divisor = greatestCommonDivisor(from, to);
    this.#phases = to / divisor;
    this.#step = from / divisor;
    this.lookahead = Math.ceil(ZERO_CROSSINGS * Math.max(1, from / to));
    this.#taps = 2 * this.lookahead;
    this.#table = kernel(this.lookahead, this.#phases, (ROLLOFF * Math.min(from, to)) / from);
    this.#held = new Float32Array(this.#taps + longest + Math.ceil(from / to) + 1);
    this.#count = this.lookahead - 1; // silence before the first sample
    this.#at = this.lookahead - 1;
  }

  /** Takes all of `input`, writes what is ready to `output`, and returns how many samples that was. */
  process(input, output) {
    this.#held.set(input, this.#count);
    this.#count += input.length;
    let written = 0;
    while (this.#at + this.lookahead < this.#count) {
      output[written++] = this.#convolve();
      this.#phase += this.#step;
      this.#at += Math.floor(this.#phase / this.#phases);
      this.#phase %= this.#phases;
    }
    const spent = Math.min(this.#at - this.lookahead + 1, this.#count);
    this.#held.copyWithin(0, spent, this.#count);
    this.#count -= spent;
    this.#at -= spent;
    return written;
  }

  #convolve() {
    const row = this.#phase * this.#taps;
    const first = this.#at - this.lookahead + 1;
    let sum = 0;
    for (let k = 0; k < this.#taps; k++) sum += this.#held[first + k] * this.#table[row + k];
    return sum;
  }
}

function kernel(half, phases, cutoff) {
  const taps = 2 * half;
  const table = new Float32Array(phases * taps);
  for (let phase = 0; phase < phases; phase++) {
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const t = k - half + 1 - phase / phases;
      const value = sinc(cutoff * t) * kaiser(t / half);
      table[phase * taps + k] = value;
      sum += value;
    }
    for (let k = 0; k < taps; k++) table[phase * taps + k] /= sum;
  }
  return table;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function kaiser(x) {
  return Math.abs(x) > 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA);
}

function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-10 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
