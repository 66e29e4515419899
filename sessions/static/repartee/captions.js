/** The conversation as text: the user's words as they are understood, the agent's as they are heard. */

const CHARACTERS_PER_MS = 0.017; // of speech, where the server has not said when a word is spoken
const FIRST_WORDS_MS = 120; // words appear a little early: reading takes longer than hearing

export class Captions {
  #list;
  #live;
  #entries = new Map();
  #agentName;

  /** @param {HTMLElement} list @param {HTMLElement} live an aria-live region for whole sentences */
  constructor(list, live, agentName) {
    this.#list = list;
    this.#live = live;
    this.#agentName = agentName;
  }

  words({ itemId, role, text, final = false, append = false, atMs = 0 }) {
    const entry = this.#entry(itemId, role);
    if (role === "agent") {
      entry.anchors.push({ atMs, characters: entry.text.length });
      entry.text += text;
      this.#reveal(entry);
      return;
    }
    entry.text = append ? entry.text + text : text;
    entry.said.textContent = entry.text;
    entry.element.classList.toggle("waiting", !final);
    if (!final) return;
    if (entry.text.trim() === "") this.#remove(itemId);
    else this.#announce(`You: ${entry.text}`);
  }

  heard({ itemId, playedMs, state }) {
    const entry = this.#entries.get(itemId);
    if (!entry) return;
    entry.playedMs = playedMs;
    entry.ended = state === "ended";
    entry.stopped = state === "stopped";
    this.#reveal(entry);
    if (entry.ended) this.#announce(`${this.#agentName}: ${entry.text}`);
    if (entry.stopped) this.#cut(entry);
  }

  /** Tags an answer with its voice-to-voice latency. */
  latency({ itemId, ms }) {
    const who = this.#entry(itemId, "agent").element.querySelector(".who");
    who.append(tag("ms", `${Math.round(ms)} ms`));
  }

  source({ item_id: itemId, title, passage, url }) {
    const { element } = this.#entry(itemId, "agent");
    element.querySelector(".source")?.remove();
    const card = tag("source");
    const heading = document.createElement(safe(url) ? "a" : "strong");
    heading.textContent = title;
    if (safe(url)) Object.assign(heading, { href: url, rel: "noreferrer", target: "_blank" });
    card.append(tag("kicker", "Source"), heading, tag("passage", passage));
    element.append(card);
    this.#follow();
  }

  /** A line of the page itself, between the turns. */
  note(text) {
    const line = document.createElement("li");
    line.className = "note";
    line.textContent = text;
    this.#list.append(line);
    this.#follow();
  }

  /** A new call starts: earlier words stay, but nothing changes them any more. */
  settle() {
    for (const { element } of this.#entries.values()) element.classList.remove("waiting", "speaking");
    for (const [id, entry] of this.#entries) if (entry.text === "") this.#remove(id);
    this.#entries.clear();
  }

  #entry(itemId, role) {
    const known = this.#entries.get(itemId);
    if (known) return known;
    const element = document.createElement("li");
    element.className = `${role} ${role === "user" ? "waiting" : "speaking"}`;
    const said = document.createElement("p");
    element.append(tag("who", role === "user" ? "You" : this.#agentName), said);
    const entry = { element, said, text: "", anchors: [], playedMs: 0, ended: false, stopped: false };
    this.#entries.set(itemId, entry);
    if (role === "user") this.#list.append(element);
    return entry;
  }

  #reveal(entry) {
    const shown = entry.ended ? entry.text : entry.text.slice(0, spokenCharacters(entry));
    if (shown !== "" && !entry.element.isConnected) this.#list.append(entry.element);
    if (entry.said.textContent !== shown) {
      entry.said.textContent = shown;
      this.#follow();
    }
    entry.element.classList.toggle("speaking", !entry.ended && !entry.stopped);
  }

  #cut(entry) {
    const unheard = entry.text.slice(entry.said.textContent.length);
    entry.element.classList.add("interrupted");
    entry.said.append(Object.assign(document.createElement("del"), { textContent: unheard }));
    const seconds = (entry.playedMs / 1000).toFixed(1);
    entry.element.append(tag("cut", `You interrupted after ${seconds} s. Struck out: not heard, and forgotten.`));
    this.#entries.delete([...this.#entries].find(([, other]) => other === entry)[0]);
    this.#follow();
  }

  #remove(itemId) {
    this.#entries.get(itemId)?.element.remove();
    this.#entries.delete(itemId);
  }

  #announce(text) {
    this.#live.textContent = text;
  }

  #follow() {
    this.#list.scrollTop = this.#list.scrollHeight;
  }
}

/** How much of the text has been spoken by now, to the end of a word. */
function spokenCharacters({ text, anchors, playedMs }) {
  if (playedMs === 0 || anchors.length === 0) return 0;
  const now = playedMs + FIRST_WORDS_MS;
  let index = anchors.findLastIndex(({ atMs }) => atMs <= now);
  if (index < 0) return 0;
  const { atMs } = anchors[index];
  index = anchors.findIndex((anchor) => anchor.atMs === atMs); // pieces that came together run as one
  const next = anchors.find((anchor) => anchor.atMs > atMs);
  const limit = next?.characters ?? text.length;
  const spoken = Math.min(limit, anchors[index].characters + (now - atMs) * CHARACTERS_PER_MS);
  const wordEnd = text.indexOf(" ", Math.floor(spoken));
  return wordEnd < 0 || wordEnd > limit ? limit : wordEnd;
}

function safe(url) {
  return /^(https?:\/\/|\/)/.test(url ?? "");
}

function tag(name, text = "") {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}
