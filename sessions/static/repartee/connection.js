/** One Realtime WebSocket, as events. */

import { Problem } from "./problems.js";

const OPEN_WAIT_MS = 15_000;
const BACKLOG_BYTES = 480_000; // 10 s of microphone: a network that slow is no connection

export class Connection extends EventTarget {
  #socket;
  #established = false;

  /**
   * Dispatches "event" (one server event) and, once established, "closed" ({code, reason}).
   * @param {{url: string, secret: string, readyUrl: string}} options
   */
  constructor({ url, secret, readyUrl }) {
    super();
    this.#socket = new WebSocket(url, ["realtime", `openai-insecure-api-key.${secret}`]);
    this.readyUrl = readyUrl;
  }

  /** Resolves at `session.created`; rejects with a Problem. */
  async open() {
    const refusal = await new Promise((resolve) => this.#await(resolve));
    if (refusal === null) return;
    this.close();
    throw refusal instanceof Problem ? refusal : await this.#diagnose(refusal);
  }

  send(event) {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > BACKLOG_BYTES) {
      this.#socket.close(4000, "backlog");
      return;
    }
    this.#socket.send(JSON.stringify(event));
  }

  close() {
    this.#established = false;
    this.#socket.close(1000);
  }

  #await(resolve) {
    const timer = setTimeout(() => resolve(new Problem("away")), OPEN_WAIT_MS);
    this.#socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (!this.#established && event.type === "session.created") {
        this.#established = true;
        clearTimeout(timer);
        resolve(null);
      } else if (!this.#established && event.type === "error") {
        clearTimeout(timer);
        resolve(refused(event.error));
      }
      this.dispatchEvent(new CustomEvent("event", { detail: event }));
    };
    this.#socket.onclose = ({ code, reason }) => {
      clearTimeout(timer);
      resolve({ code, reason });
      if (this.#established) this.dispatchEvent(new CustomEvent("closed", { detail: { code, reason } }));
      this.#established = false;
    };
  }

  /** A refused handshake looks like a dead server to a browser, so ask the server how it is. */
  async #diagnose({ code, reason }) {
    if (code === 1013) return new Problem("full");
    if (code === 1008) return new Problem("key-refused", reason);
    let ready;
    try {
      ready = await fetch(this.readyUrl, { cache: "no-store" });
    } catch {
      return new Problem("away");
    }
    return new Problem(ready.ok ? "key-refused" : "full");
  }
}

const REFUSALS = {
  invalid_api_key: "key-refused",
  model_not_found: "unknown-agent",
  rate_limit_exceeded: "full",
  server_overloaded: "full",
};

function refused({ type, code, message }) {
  const kind = REFUSALS[code] ?? REFUSALS[type] ?? "failed";
  return new Problem(kind, kind === "failed" ? message : "");
}
