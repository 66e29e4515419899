/** A turn's trace as a waterfall: where the time between your last word and the first sound went. */

const SVG = "http://www.w3.org/2000/svg";
const ROW = 34;
const BAR = 10;

const STEPS = {
  vad_hangover: ["Silence wait", "your last word?"],
  stt_finalize: ["Transcription", "speech to text"],
  endpointing_wait: ["End of turn", "are you done?"],
  commit: ["Commit", "history and hooks"],
  retrieval: ["Retrieval", "finding the passage"],
  llm_queue: ["Model queue", "request under way"],
  tool_rounds: ["Tools", "looking things up"],
  llm_ttft: ["First word", "of the language model"],
  sentence: ["First clause", "enough to speak"],
  tts_ttfb: ["Voice", "text to speech"],
  tts_silence: ["Breath", "silence in the voice’s audio"],
  pacing: ["Pacing", "inside the server"],
  network_playout: ["Network and playout", "wire to ear"],
};

const PROVENANCE = {
  client_clock: "measured at your ear, on this device’s clock",
  client_synced: "measured at your ear, on synchronised clocks",
  estimated: "estimated: server time plus half a round trip",
  server: "measured as it left the server",
};

/** @returns {string} where a latency's end was measured, in words */
export function provenanceText(provenance) {
  return PROVENANCE[provenance] ?? "";
}

/** Steps that took time, in ms from the end of speech. */
export function steps(trace) {
  const start = trace.path[0]?.start_us ?? 0;
  return trace.path
    .filter(({ duration_us }) => duration_us >= 500)
    .map(({ name, owner, start_us, duration_us }) => ({
      name,
      owner,
      label: STEPS[name]?.[0] ?? name.replaceAll("_", " "),
      hint: STEPS[name]?.[1] ?? "",
      startMs: (start_us - start) / 1000,
      ms: duration_us / 1000,
    }));
}

/** Replaces what `figure` shows by the waterfall of `trace`; false when the turn has none. */
export function drawWaterfall(figure, trace) {
  const rows = steps(trace);
  if (rows.length === 0) return false;
  const total = (trace.latencies?.voice_to_voice ?? 0) / 1000 || Math.max(...rows.map((row) => row.startMs + row.ms));
  const svg = node("svg", { width: "100%", height: rows.length * ROW + 24, role: "img", class: "waterfall" });
  svg.append(node("title", {}, describe(rows, total)));
  const scale = (ms) => `${((100 * ms) / total).toFixed(3)}%`;
  grid(svg, total, rows.length * ROW, scale);
  rows.forEach((row, index) => svg.append(draw(row, index * ROW, scale)));
  figure.replaceChildren(svg);
  return true;
}

function draw(row, y, scale) {
  const group = node("g", { class: `step owner-${row.owner}` });
  const label = node("text", { x: 0, y: y + 12, class: "label" }, row.label);
  label.append(node("tspan", { dx: 8, class: "hint" }, row.hint));
  group.append(
    label,
    node("text", { x: "100%", y: y + 12, class: "value" }, `${Math.round(row.ms)} ms`),
    node("rect", { x: 0, y: y + 18, width: "100%", height: BAR, rx: BAR / 2, class: "track" }),
    node("rect", { x: scale(row.startMs), y: y + 18, width: scale(row.ms), height: BAR, rx: 3, class: "bar" }),
  );
  return group;
}

function grid(svg, total, height, scale) {
  const step = [50, 100, 200, 250, 500, 1000, 2000, 5000].find((ms) => total / ms <= 5) ?? 10_000;
  for (let ms = 0; ms <= total - step / 3; ms += step) {
    const x = scale(ms);
    svg.append(node("line", { x1: x, x2: x, y1: 16, y2: height, class: "grid" }));
    if (total - ms > total / 6) {
      svg.append(node("text", { x, y: height + 16, class: "tick" }, ms === 0 ? "you stop" : `${ms}`));
    }
  }
  svg.append(node("text", { x: "100%", y: height + 16, class: "tick last" }, `${Math.round(total)} ms`));
}

function describe(rows, total) {
  const parts = rows.map(({ label, ms }) => `${label} ${Math.round(ms)} ms`);
  return `${Math.round(total)} milliseconds from the end of your speech to the first sound: ${parts.join(", ")}.`;
}

function node(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
