// What the drivers written in JavaScript share, under node and in a page. The lines that they print are those of
// driving.py. A page gets and gives everything through the server that it came from, see agents_js/browser.mjs.

const RATE = 24000;
const PIECE_MS = 20;
const PIECE = (RATE * 2 * PIECE_MS) / 1000;
const LIMIT_MS = 60000;

const inPage = typeof window !== "undefined";
const fs = inPage ? null : await import("node:fs");
const told = inPage ? await (await fetch("/settings")).json() : process.env;

export const stage = {
  baseUrl: told.REPARTEE_BASE_URL, // ends in /v1
  wsUrl: told.REPARTEE_BASE_URL.replace(/^http/, "ws"),
  // A page asks its server for a client secret.
  keyFor: async (model) => (inPage ? (await fetch(`/secret?model=${model}`)).text() : told.REPARTEE_API_KEY),
  words: told.SPEECH_WORDS.split(" "),
  // 16-bit mono PCM at 24 kHz
  speech: inPage ? new Uint8Array(await (await fetch("/speech")).arrayBuffer()) : fs.readFileSync(told.SPEECH_FILE),
};

// What a page tells, in order.
let posted = Promise.resolve();
const post = (path, body) => (posted = posted.then(() => fetch(path, { method: "POST", body })));

const print = (line) => (inPage ? post("/line", line) : console.log(line));

// The client has nothing of the kind; the message says why.
export class NotApplicable extends Error {}

export function assert(condition, message) {
  if (!condition) throw new Error(message);
}

// The messages of the newest chat that the scripted language model was asked for.
export async function remembered() {
  const { requests } = await (await fetch(`${inPage ? "" : told.SCRIPTED_PROVIDER}/_log`)).json();
  return requests.filter((request) => request.path.endsWith("/chat/completions")).at(-1).asked.messages;
}

// Asserts that of the story that was cut off the agent remembers `kept`, and that so much can be heard.
export async function agentRemembers(kept, heardMs) {
  const memory = (await remembered()).filter((message) => message.role === "assistant").map(({ content }) => content);
  assert(memory.length === 1 && memory[0] === kept, `the agent remembers ${JSON.stringify(memory)}, not "${kept}"`);
  const spoken = kept.split(" ").length;
  assert(kept && spoken <= 2 + (4 * heardMs) / 1000, `${heardMs} ms of speech are not "${kept}"`);
  return `after ${heardMs} ms remembers "${kept}"`;
}

// Asserts that the speech was understood.
export function heard(transcript) {
  const found = transcript.toLowerCase().split(/[^a-z']+/);
  const understood = stage.words.filter((word) => found.includes(word)).length;
  assert(understood >= 0.7 * stage.words.length, `of the speech was understood: ${transcript}`);
  return `heard ${understood} of ${stage.words.length} words`;
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const seconds = (bytes) => bytes / 2 / RATE;

// The recorded speech and then silence, 20 ms at a time, each piece when it would have been recorded, until `stop()`.
export function microphone(send) {
  const started = performance.now();
  let number = 0;
  const timer = setInterval(() => {
    while (started + number * PIECE_MS <= performance.now()) {
      const piece = new Uint8Array(PIECE);
      piece.set(stage.speech.subarray(number * PIECE, (number + 1) * PIECE));
      send(piece);
      number += 1;
    }
  }, PIECE_MS / 2);
  return { stop: () => clearInterval(timer) };
}

let connections = 0;

// What came over one connection, for the runner to hold against the protocol's rules.
export class Wire {
  #number = connections++;

  see(event) {
    const line = `${this.#number} ${JSON.stringify(event)}\n`;
    if (inPage) post("/frame", line);
    else fs.appendFileSync(told.WIRE_FILE, line);
  }
}

// Events as they come, to be awaited in order. `fail(error)` makes whoever waits throw.
export class Inbox {
  #events = [];
  #wake = () => {};
  #failure = null;

  put(event) {
    this.#events.push(event);
    this.#wake();
  }

  fail(error) {
    this.#failure ??= error;
    this.#wake();
  }

  async next() {
    while (this.#events.length === 0) {
      if (this.#failure) throw this.#failure;
      await new Promise((resolve) => (this.#wake = resolve));
    }
    return this.#events.shift();
  }

  // The events up to the first of `type`.
  async until(type) {
    const events = [await this.next()];
    while (events.at(-1).type !== type) events.push(await this.next());
    return events;
  }
}

export async function run(scenarios) {
  for (const [name, scenario] of Object.entries(scenarios)) {
    try {
      const limit = sleep(LIMIT_MS).then(() => assert(false, `took more than ${LIMIT_MS / 1000} s`));
      print(`PASS ${name}: ${oneLine(await Promise.race([scenario(), limit]))}`);
    } catch (error) {
      if (error instanceof NotApplicable) print(`NONE ${name}: ${error.message}`);
      else print(`FAIL ${name}: ${oneLine(`${error.name}: ${error.message}`)}\n${error.stack}`);
    }
  }
  if (inPage) await post("/end", "");
  else process.exit(0);
}

const oneLine = (text) => text.split(/\s+/).join(" ").slice(0, 300);
