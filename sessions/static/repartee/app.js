/** The talk page: buttons, states and problems around one call. */

import { Call } from "./call.js";
import { Captions } from "./captions.js";
import { Connection } from "./connection.js";
import { LatencyPanel } from "./latency-panel.js";
import { askForMicrophone, Microphone } from "./microphone.js";
import { obstacle, Problem } from "./problems.js";
import { Speaker } from "./speaker.js";

const page = document.querySelector("[data-talk]");
const settings = page.dataset;
const byId = (id) => document.getElementById(id);
const button = byId("talk");
const captions = new Captions(byId("captions"), byId("announcer"), settings.agentName);
const panel = new LatencyPanel(byId("latency"));

const STATES = {
  idle: "Ready",
  connecting: "Connecting…",
  listening: "Listening",
  hearing: "Hearing you",
  thinking: "Thinking…",
  speaking: "Speaking",
  held: "Holding on…",
  ended: "Call ended",
  problem: "Not connected",
};
const LIVE = new Set(["listening", "hearing", "thinking", "speaking", "held"]);
const COMPLAINT_MS = 8_000;

let parts = null; // what the running call is made of
let attempt = 0; // a later click makes an earlier one stale
let complaintTimer = 0;

async function start() {
  const mine = ++attempt;
  const barrier = obstacle();
  if (barrier) return show(barrier);
  // Made in the click itself: browsers let a page make sound only then.
  const context = new AudioContext({ latencyHint: "interactive" });
  parts = { context };
  showState("connecting");
  try {
    await assemble(parts, mine);
  } catch (error) {
    if (mine === attempt) show(error instanceof Problem ? error : new Problem("failed", error.message));
  }
  return undefined;
}

async function assemble(made, mine) {
  const running = made.context.resume();
  // The person may take a while to allow the microphone; the secret is short-lived, so it comes after.
  const [stream] = await Promise.all([askForMicrophone(), running, loadWorklets(made.context)]);
  made.stream = stream;
  if (mine !== attempt) return discard(made);
  made.connection = new Connection({ url: realtimeUrl(), secret: await fetchSecret(), readyUrl: settings.readyUrl });
  await made.connection.open();
  if (mine !== attempt) return discard(made);
  made.speaker = new Speaker(made.context);
  made.microphone = new Microphone(made.context, stream, made.speaker.output);
  begin(made);
  return undefined;
}

function loadWorklets(context) {
  const load = (file) => context.audioWorklet.addModule(new URL(file, import.meta.url));
  return Promise.all([load("./capture-worklet.js"), load("./playback-worklet.js")]);
}

function realtimeUrl() {
  const url = new URL(settings.realtimeUrl, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

async function fetchSecret() {
  const body = new URLSearchParams({ agent: settings.agent, version: settings.version });
  let answer;
  try {
    answer = await fetch(settings.secretUrl, {
      method: "POST",
      headers: { "X-CSRFToken": settings.csrf, Accept: "application/json" },
      body,
      credentials: "same-origin",
      redirect: "error",
    });
  } catch {
    throw new Problem("away");
  }
  if (answer.ok) return (await answer.json()).value;
  const kinds = { 401: "login", 403: "login", 404: "unknown-agent", 429: "full", 503: "full" };
  throw new Problem(kinds[answer.status] ?? "failed");
}

function begin({ connection, microphone, speaker }) {
  const call = new Call({ connection, microphone, speaker });
  const on = (type, act) => call.addEventListener(type, ({ detail }) => act(detail));
  page.classList.add("used");
  captions.settle();
  panel.reset();
  on("state", ({ state }) => showState(state));
  on("words", (words) => captions.words(words));
  on("heard", (heard) => captions.heard(heard));
  on("source", (source) => captions.source(source));
  on("turn", ({ trace }) => panel.turn(trace));
  on("latency", (latency) => {
    panel.measured(latency.ms);
    captions.latency(latency);
  });
  on("complaint", ({ message }) => complain(message));
  on("ended", finish);
  microphone.addEventListener("frame", ({ detail }) => showLevels(detail));
  microphone.addEventListener("lost", () => show(new Problem("microphone-lost")));
  showMuted(false);
  showState("listening");
  byId("end").focus({ preventScroll: true });
  call.start();
}

function finish({ code }) {
  if (code === 1000) {
    captions.note(`${settings.agentName} ended the call.`);
    stop();
  } else {
    captions.note("The connection was lost here.");
    show(new Problem(code === 1013 ? "full" : "lost"));
  }
}

function stop() {
  attempt += 1;
  release();
  showState("ended");
  button.focus({ preventScroll: true });
}

function release() {
  if (parts) discard(parts);
  parts = null;
  captions.settle();
}

function discard({ connection, microphone, speaker, stream, context }) {
  connection?.close();
  microphone?.close();
  speaker?.close();
  for (const track of stream?.getTracks() ?? []) track.stop();
  context.close();
}

// --- what is shown ---

function showState(state) {
  page.dataset.state = state;
  const live = LIVE.has(state) || state === "connecting";
  byId("status").textContent = STATES[state];
  byId("controls").hidden = !live;
  byId("start").hidden = live || state === "problem";
  button.querySelector("[data-label]").textContent = state === "idle" ? `Talk to ${settings.agentName}` : "Talk again";
  if (live) byId("problem").hidden = true;
  if (!live) setLevels(0, 0);
}

function show(problem) {
  attempt += 1;
  release();
  showState("problem");
  const box = byId("problem");
  for (const field of ["title", "text", "help"]) box.querySelector(`[data-field=${field}]`).textContent = problem[field];
  const retry = byId("retry");
  retry.hidden = !problem.retry;
  retry.textContent = problem.retry ?? "";
  byId("login").hidden = problem.link !== "login";
  box.dataset.kind = problem.kind;
  box.hidden = false;
  box.focus({ preventScroll: false });
}

function complain(message) {
  const toast = byId("complaint");
  toast.textContent = message;
  toast.hidden = false;
  clearTimeout(complaintTimer);
  complaintTimer = setTimeout(() => {
    toast.hidden = true;
  }, COMPLAINT_MS);
}

function showLevels({ level }) {
  setLevels(level, parts?.speaker?.level ?? 0);
}

/** RMS levels as 0 to 1 over the 50 dB that speech uses. */
function setLevels(mic, agent) {
  const scaled = (rms) => Math.max(0, Math.min(1, (20 * Math.log10(rms + 1e-6) + 55) / 45)).toFixed(3);
  page.style.setProperty("--mic", scaled(mic));
  page.style.setProperty("--agent", scaled(agent));
  byId("meter").value = Number(scaled(mic));
}

function showMuted(muted) {
  parts.microphone.mute(muted);
  const mute = byId("mute");
  mute.setAttribute("aria-pressed", String(muted));
  mute.querySelector("[data-label]").textContent = muted ? "Unmute" : "Mute";
  page.classList.toggle("muted", muted);
}

// --- what is pressed ---

button.addEventListener("click", start);
byId("retry").addEventListener("click", start);
byId("end").addEventListener("click", stop);
byId("mute").addEventListener("click", () => parts?.microphone && showMuted(!page.classList.contains("muted")));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && parts) stop();
});
addEventListener("pagehide", () => parts && discard(parts));

const barrier = obstacle();
if (barrier) show(barrier);
else showState("idle");
