/** The latency of this call: the last answer in large, the session's percentiles, one waterfall a turn. */

import { drawWaterfall, provenanceText } from "./waterfall.js";

export class LatencyPanel {
  #parts;
  #heard = []; // ms, measured at the ear only: provenances are never mixed in one percentile
  #traces = [];

  /** @param {HTMLElement} root with the parts named by data-part */
  constructor(root) {
    const named = [...root.querySelectorAll("[data-part]")].map((element) => [element.dataset.part, element]);
    this.#parts = { root, ...Object.fromEntries(named) };
  }

  reset() {
    this.#heard = [];
    this.#traces = [];
    this.#parts.turns.replaceChildren();
    this.#parts.figure.replaceChildren();
  }

  /** A voice-to-voice latency just measured by this page. */
  measured(ms) {
    this.#heard.push(ms);
    this.#headline(ms, "client_clock");
    this.#parts.figure.classList.add("older"); // until the trace of this turn comes
    for (const button of this.#parts.turns.children) button.setAttribute("aria-pressed", "false");
    const p50 = percentile(this.#heard, 50);
    const p95 = percentile(this.#heard, 95);
    this.#parts.p50.textContent = Math.round(p50);
    this.#parts.p95.textContent = Math.round(p95);
    this.#parts.jitter.textContent = Math.round(p95 - p50);
    this.#parts.root.classList.remove("empty");
  }

  /** The server's trace of a turn that is over. */
  turn(trace) {
    if (!trace.path?.length) return;
    this.#traces.push(trace);
    const number = this.#traces.length;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${number}`;
    button.setAttribute("aria-label", `Turn ${number}: ${milliseconds(trace)} ms`);
    button.addEventListener("click", () => this.#show(number - 1));
    this.#parts.turns.append(button);
    this.#show(number - 1);
  }

  #show(index) {
    const trace = this.#traces[index];
    this.#headline(milliseconds(trace), trace.provenance);
    drawWaterfall(this.#parts.figure, trace);
    this.#parts.figure.classList.remove("older");
    this.#parts.root.classList.remove("empty");
    [...this.#parts.turns.children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === index)));
  }

  #headline(ms, provenance) {
    this.#parts.number.textContent = Math.round(ms);
    this.#parts.provenance.textContent = provenanceText(provenance);
  }
}

/** Nearest-rank percentile. @param {number[]} values not empty */
export function percentile(values, rank) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((rank / 100) * sorted.length) - 1)];
}

function milliseconds(trace) {
  return Math.round((trace.latencies?.voice_to_voice ?? 0) / 1000);
}
