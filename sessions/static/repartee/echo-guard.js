/**
 * Keeps the agent from hearing itself.
 *
 * The browser's echo canceller removes most of what the loudspeaker sends back; what it leaves still
 * sounds like speech to the server. We know what we play, so we know how loud an echo can be at most: the
 * loudest block played in the last 450 ms, times the coupling of this room and device. A microphone block
 * that stays under this ceiling while we play is silenced; a person who talks over the agent is louder
 * and passes. With nothing playing, nothing is touched.
 *
 * The coupling is learnt. Downwards: an echo cannot be louder than what the microphone hears. Upwards:
 * only when the microphone's loudness follows our own, which a person's does not.
 *
 * Works on blocks of 10 ms, in powers (mean squares) and decibels.
 */

export const BLOCK_MS = 10;

const REACH = 45; // blocks an echo may come late: output, air, input; Bluetooth is the slowest
const MARGIN_DB = 8; // above the expected echo
const COUPLING_START_DB = -20;
const COUPLING_MIN_DB = -32;
const COUPLING_MAX_DB = -6;
const FALL_DB_PER_BLOCK = 0.02; // 2 dB a second of playback
const OPEN_AFTER = 2; // blocks in a row: a click does not open the gate
const STAY_OPEN = 25; // blocks after the last loud one: the gaps inside words
const QUIET_DB = -65; // playback under this makes no echo worth a thought
const MEMORY = 150; // blocks of history that levels are compared over
const COMPARE_EVERY = 10;
const COMPARE_AT_LEAST = 60; // blocks with playback, of MEMORY
const ECHO_CORRELATION = 0.85;
const FLOOR_DB = -80;

export class EchoGuard {
  couplingDb = COUPLING_START_DB;
  #mic = new Float32Array(MEMORY).fill(FLOOR_DB);
  #played = new Float32Array(MEMORY + REACH).fill(FLOOR_DB);
  #blocks = 0;
  #loud = 0;
  #open = 0;

  /**
   * Decides on one block. @param {number} micPower @param {number} playedPower of the same 10 ms
   * @returns {boolean} whether the block may go out
   */
  admits(micPower, playedPower) {
    const mic = decibels(micPower);
    shift(this.#mic, mic);
    shift(this.#played, decibels(playedPower));
    this.#blocks += 1;
    const loudest = this.#loudestPlayed();
    if (loudest < QUIET_DB) {
      this.#loud = 0;
      this.#open = 0;
      return true;
    }
    if (this.#blocks % COMPARE_EVERY === 0) this.#learn(loudest);
    this.#loud = mic > loudest + this.couplingDb + MARGIN_DB ? this.#loud + 1 : 0;
    if (this.#loud >= OPEN_AFTER) this.#open = STAY_OPEN;
    else if (this.#open > 0) this.#open -= 1;
    return this.#open > 0;
  }

  #loudestPlayed() {
    let loudest = FLOOR_DB;
    for (let i = this.#played.length - REACH; i < this.#played.length; i++) {
      if (this.#played[i] > loudest) loudest = this.#played[i];
    }
    return loudest;
  }

  #learn(loudest) {
    const { correlation, couplingDb } = this.#bestMatch();
    if (correlation > ECHO_CORRELATION && couplingDb > this.couplingDb) {
      this.couplingDb = Math.min(couplingDb, COUPLING_MAX_DB);
      return;
    }
    let loudestHeard = FLOOR_DB;
    for (const level of this.#mic) if (level > loudestHeard) loudestHeard = level;
    const atMost = Math.max(loudestHeard - loudest, COUPLING_MIN_DB);
    if (atMost < this.couplingDb) {
      this.couplingDb = Math.max(atMost, this.couplingDb - FALL_DB_PER_BLOCK * COMPARE_EVERY);
    }
  }

  /** The delay at which the microphone follows the playback best, as a correlation of levels in dB. */
  #bestMatch() {
    let best = { correlation: 0, couplingDb: COUPLING_MIN_DB };
    for (let late = 0; late < REACH; late++) {
      const match = this.#compare(this.#played.length - MEMORY - late);
      if (match.correlation > best.correlation) best = match;
    }
    return best;
  }

  #compare(offset) {
    let n = 0;
    let x = 0;
    let y = 0;
    let xx = 0;
    let yy = 0;
    let xy = 0;
    for (let i = 0; i < MEMORY; i++) {
      const played = this.#played[offset + i];
      if (played < QUIET_DB) continue;
      const mic = this.#mic[i];
      n += 1;
      x += played;
      y += mic;
      xx += played * played;
      yy += mic * mic;
      xy += played * mic;
    }
    if (n < COMPARE_AT_LEAST) return { correlation: 0, couplingDb: COUPLING_MIN_DB };
    const spread = Math.sqrt((xx - (x * x) / n) * (yy - (y * y) / n));
    return { correlation: spread > 0 ? (xy - (x * y) / n) / spread : 0, couplingDb: (y - x) / n };
  }
}

function shift(history, value) {
  history.copyWithin(0, 1);
  history[history.length - 1] = value;
}

function decibels(power) {
  return Math.max(FLOOR_DB, 10 * Math.log10(power + 1e-12));
}
