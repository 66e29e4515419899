/**
 * The microphone, on the audio thread: 20 ms frames of 24 kHz PCM16, numbered by their first sample.
 *
 * Input 0 is the microphone, input 1 what we play (for the echo guard). Posts {pcm, startSample, startTime,
 * level}: `startTime` is the context time of sample 0, `level` the RMS before the guard. Takes
 * {muted} and {close: true}. A muted microphone sends silence: the sample clock goes on.
 */

import { BLOCK_MS, EchoGuard } from "./echo-guard.js";
import { WIRE_RATE } from "./pcm.js";
import { Resampler } from "./resampler.js";

const BLOCK = (WIRE_RATE * BLOCK_MS) / 1000;
const FRAME = 2 * BLOCK;
const FADE = BLOCK / 5;
const SILENCE = new Float32Array(128);

class Capture extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate, WIRE_RATE);
  #resampled = new Float32Array(4096);
  #guard = new EchoGuard();
  #frame = new Float32Array(FRAME);
  #filled = 0;
  #sent = 0;
  #playedPower = 0;
  #playedSamples = 0;
  #heardPower = 0;
  #gain = 1;
  #startTime = null;
  #muted = false;
  #closed = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if ("muted" in data) this.#muted = data.muted;
      if (data.close) this.#closed = true;
    };
  }

  process([[mic = SILENCE], [played]]) {
    this.#startTime ??= currentTime;
    this.#measurePlayback(played, mic.length);
    const count = this.#resampler.process(mic, this.#resampled);
    for (let i = 0; i < count; i++) {
      this.#frame[this.#filled++] = this.#resampled[i];
      if (this.#filled % BLOCK === 0) this.#finishBlock();
      if (this.#filled === FRAME) this.#send();
    }
    return !this.#closed;
  }

  #measurePlayback(played, length) {
    this.#playedSamples += length;
    if (!played) return;
    for (const sample of played) this.#playedPower += sample * sample;
  }

  #finishBlock() {
    const start = this.#filled - BLOCK;
    let power = 0;
    for (let i = start; i < this.#filled; i++) power += this.#frame[i] ** 2;
    this.#heardPower += power;
    const admitted = this.#guard.admits(power / BLOCK, this.#playedPower / Math.max(1, this.#playedSamples));
    this.#playedPower = 0;
    this.#playedSamples = 0;
    this.#ramp(start, admitted && !this.#muted ? 1 : 0);
  }

  #ramp(start, goal) {
    for (let i = 0; i < BLOCK; i++) {
      const gain = i < FADE ? this.#gain + ((goal - this.#gain) * i) / FADE : goal;
      this.#frame[start + i] *= gain;
    }
    this.#gain = goal;
  }

  #send() {
    const pcm = new Int16Array(FRAME);
    for (let i = 0; i < FRAME; i++) pcm[i] = Math.max(-32768, Math.min(32767, Math.round(this.#frame[i] * 32767)));
    const level = this.#muted ? 0 : Math.sqrt(this.#heardPower / FRAME);
    const message = { pcm, startSample: this.#sent, startTime: this.#startTime, level };
    this.port.postMessage(message, [pcm.buffer]);
    this.#sent += FRAME;
    this.#filled = 0;
    this.#heardPower = 0;
  }
}

registerProcessor("repartee-capture", Capture);
