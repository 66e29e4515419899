// A session of OpenAI's Agents SDK over WebSocket, the same under node and in a page.

import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from "@openai/agents-realtime";
import { Inbox, microphone, stage, Wire } from "./driving.mjs";

export const seen = [];
export const errors = [];
// The SDK validates events with zod, and says nothing of one that it drops: ids of those that it has not passed on.
export const dropped = new Map();

export class Talk {
  inbox = new Inbox();
  wire = new Wire();
  audioBytes = 0;

  constructor(model, { tools = [], config = {} } = {}) {
    const agent = new RealtimeAgent({ name: "caller", instructions: "Be brief.", tools });
    this.transport = new OpenAIRealtimeWebSocket();
    this.session = new RealtimeSession(agent, { transport: this.transport, config, tracingDisabled: true });
    this.model = model;
    this.#listen();
  }

  static async open(model, { key, ...options } = {}) {
    const talk = new Talk(model, options);
    await talk.connect(key ?? (await stage.keyFor(model)));
    return talk;
  }

  connect(apiKey) {
    return this.session.connect({ apiKey, url: `${stage.wsUrl}/realtime?model=${this.model}` });
  }

  #listen() {
    const passedOn = new Set();
    this.transport.on("*", (event) => {
      seen.push(event.type);
      this.wire.see(event);
      dropped.set(event.event_id, event.type);
      if (!passedOn.has(event.type)) {
        passedOn.add(event.type);
        this.transport.on(event.type, (passed) => dropped.delete((passed.error ?? passed).event_id));
      }
      this.inbox.put(event);
    });
    this.session.on("audio", (event) => (this.audioBytes += event.data.byteLength));
    this.session.on("audio_interrupted", () => this.inbox.put({ type: "audio_interrupted" }));
    this.session.on("agent_end", (_context, _agent, text) => this.inbox.put({ type: "agent_end", text }));
    this.session.on("agent_tool_end", (_context, _agent, tool, result) =>
      this.inbox.put({ type: "agent_tool_end", name: tool.name, result }),
    );
    this.session.on("error", ({ error }) => {
      errors.push(JSON.stringify(error?.error ?? error?.message ?? error));
      this.inbox.fail(new Error(`the SDK shows an error: ${errors.at(-1)}`));
    });
  }

  last = async (type) => (await this.inbox.until(type)).at(-1);

  speak() {
    return microphone((piece) => this.session.sendAudio(piece.buffer));
  }

  // The words of `role` in the history that the application sees.
  shown(role) {
    const parts = this.session.history.filter((item) => item.role === role).flatMap((item) => item.content);
    return parts.map((part) => part.transcript ?? part.text ?? "").join(" ");
  }

  close = () => this.session.close();
}
