// OpenAI's package for JavaScript.

import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { agentRemembers, assert, heard, Inbox, microphone, remembered, run, seconds, sleep, stage, Wire } from "./driving.mjs";

const WEATHER_TOOL = {
  type: "function",
  name: "get_weather",
  description: "The weather of a city.",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const seen = [];
const errors = [];

const client = (apiKey = process.env.REPARTEE_API_KEY) => new OpenAI({ baseURL: stage.baseUrl, apiKey, maxRetries: 0 });

class Talk {
  inbox = new Inbox();
  wire = new Wire();

  constructor(session, key) {
    this.socket = new OpenAIRealtimeWS(typeof session === "string" ? { model: session } : session, client(key));
    this.socket.on("event", (event) => {
      seen.push(event.type);
      this.wire.see(event);
      this.inbox.put(event);
    });
    this.socket.on("error", (error) => {
      errors.push(error.message);
      this.inbox.fail(error);
    });
  }

  static async open(session, key) {
    const talk = new Talk(session, key);
    await talk.until("session.created");
    return talk;
  }

  until = (type) => this.inbox.until(type);
  last = async (type) => (await this.until(type)).at(-1);
  send = (type, fields = {}) => this.socket.send({ type, ...fields });

  async configure(session) {
    this.send("session.update", { session: { type: "realtime", ...session } });
    return (await this.last("session.updated")).session;
  }

  write(text) {
    this.send("conversation.item.create", {
      item: { type: "message", role: "user", content: [{ type: "input_text", text }] },
    });
  }

  async respond() {
    this.send("response.create");
    return await this.until("response.done");
  }

  speak() {
    return microphone((piece) => this.send("input_audio_buffer.append", { audio: Buffer.from(piece).toString("base64") }));
  }

  close = () => this.socket.close();
}

// A response's text, which its deltas must spell.
function said(events, kind = "response.output_text") {
  const whole = events.find((event) => event.type === `${kind}.done`);
  const deltas = events.filter((event) => event.type === `${kind}.delta`).map((event) => event.delta);
  const text = whole.text ?? whole.transcript;
  assert(deltas.join("") === text, `the deltas do not spell ${text}`);
  return text;
}

const audio = (events) =>
  Buffer.concat(
    events
      .filter((event) => event.type === "response.output_audio.delta")
      .map((event) => Buffer.from(event.delta, "base64")),
  );

const COMPLETED = "conversation.item.input_audio_transcription.completed";

await run({
  async "text turn"() {
    const talk = await Talk.open("clerk");
    await talk.configure({ output_modalities: ["text"] });
    talk.write("When do you open?");
    const events = await talk.respond();
    talk.close();
    assert(said(events).includes("nine o'clock"), said(events));
    return `${events.filter((event) => event.type === "response.output_text.delta").length} deltas, over wss`;
  },

  async "voice turn"() {
    const talk = await Talk.open("guide");
    await talk.configure({
      audio: {
        input: {
          turn_detection: { type: "server_vad", silence_duration_ms: 600 },
          transcription: { model: "gpt-4o-mini-transcribe" },
        },
      },
    });
    const mouth = talk.speak();
    const events = await talk.until("response.done");
    mouth.stop();
    talk.close();
    const transcript = events.find((event) => event.type === COMPLETED).transcript;
    const spoken = seconds(audio(events).length);
    assert(said(events, "response.output_audio_transcript") && spoken > 0.5, `${spoken} s of speech came back`);
    return `${heard(transcript)}, ${spoken.toFixed(1)} s of speech came back`;
  },

  async "manual commit"() {
    const talk = await Talk.open("clerk");
    const effective = await talk.configure({
      audio: { input: { turn_detection: null, transcription: { model: "whisper-1" } } },
    });
    assert(effective.audio.input.turn_detection === null, "turn detection is still on");
    talk.send("input_audio_buffer.append", { audio: stage.speech.toString("base64") });
    talk.send("input_audio_buffer.commit");
    const before = await talk.until("input_audio_buffer.committed");
    const events = await talk.respond();
    assert(said(events, "response.output_audio_transcript").includes("nine o'clock"), "another answer");
    const completed = [...before, ...events].find((event) => event.type === COMPLETED) ?? (await talk.last(COMPLETED));
    talk.close();
    return heard(completed.transcript);
  },

  async "tool round trip"() {
    const talk = await Talk.open("weather");
    await talk.configure({ output_modalities: ["text"], tools: [WEATHER_TOOL] });
    talk.write("What is the weather in Oslo?");
    const called = await talk.respond();
    const call = called.find((event) => event.type === "response.function_call_arguments.done");
    assert(call.name === "get_weather" && JSON.parse(call.arguments).city === "Oslo", call.arguments);
    talk.send("conversation.item.create", {
      item: { type: "function_call_output", call_id: call.call_id, output: "sunny, 20 °C" },
    });
    const answer = said(await talk.respond());
    talk.close();
    assert(answer.includes("sunny"), answer);
    assert((await remembered()).at(-1).content === "sunny, 20 °C", "the model was not told the tool's output");
    return `${call.name}(${call.arguments}) → ${answer}`;
  },

  async "barge-in"() {
    const talk = await Talk.open("story");
    talk.write("Tell me a story.");
    talk.send("response.create");
    const { item_id } = await talk.last("response.output_audio.delta");
    await sleep(2000);
    const mouth = talk.speak();
    await talk.until("input_audio_buffer.speech_started");
    talk.send("conversation.item.truncate", { item_id, content_index: 0, audio_end_ms: 1500 });
    const { response } = await talk.last("response.done");
    assert(response.status_details.reason === "turn_detected", JSON.stringify(response.status_details));
    await talk.until("conversation.item.truncated");
    talk.send("conversation.item.retrieve", { item_id });
    const kept = (await talk.last("conversation.item.retrieved")).item.content[0].transcript;
    await talk.until("response.created");
    await talk.until("response.output_audio.delta");
    mouth.stop();
    talk.close();
    return await agentRemembers(kept, 1500);
  },

  async "bad key"() {
    const shown = [];
    const talk = new Talk("clerk", "sk_wrong");
    await talk.until("session.created").catch((error) => shown.push(`${error.name}: ${error.message}`));
    errors.pop();
    await client("sk_wrong")
      .realtime.clientSecrets.create({})
      .catch((error) => shown.push(`${error.constructor.name}: ${error.message}`));
    assert(shown[0]?.includes("401") && shown[1]?.includes("Incorrect API key"), shown.join("; "));
    return shown.join("; ");
  },

  async "client secret"() {
    const secret = await client().realtime.clientSecrets.create({
      session: { type: "realtime", model: "clerk", output_modalities: ["text"] },
    });
    assert(secret.value.startsWith("ek_"), "no ek_");
    const talk = await Talk.open("clerk", secret.value);
    talk.write("When do you open?");
    const text = said(await talk.respond());
    talk.close();
    assert(text.includes("nine o'clock"), text);
    return "opened a session and held a turn";
  },

  async transcription() {
    const talk = await Talk.open({ intent: "transcription" });
    const input = { turn_detection: { type: "server_vad" }, transcription: { model: "gpt-4o-transcribe" } };
    talk.send("session.update", { session: { type: "transcription", audio: { input } } });
    await talk.until("session.updated");
    const mouth = talk.speak();
    const events = await talk.until(COMPLETED);
    mouth.stop();
    talk.close();
    const deltas = events.filter((event) => event.type.endsWith("input_audio_transcription.delta"));
    const { transcript } = events.at(-1);
    assert(deltas.map((event) => event.delta).join("") === transcript, "the deltas do not spell the transcript");
    return `${heard(transcript)}, ${deltas.length} deltas`;
  },

  async "text over HTTP"() {
    const openai = client();
    const messages = [{ role: "user", content: "When do you open?" }];
    const names = [];
    for await (const model of openai.models.list()) names.push(model.id);
    assert(names.includes("clerk"), names.join());
    const whole = (await openai.chat.completions.create({ model: "clerk", messages })).choices[0].message.content;
    const chat = openai.chat.completions.stream({ model: "clerk", messages });
    assert((await chat.finalContent()) === whole && whole.includes("nine o'clock"), whole);
    const kinds = [];
    const stream = openai.responses.stream({ model: "clerk", input: "When do you open?" });
    for await (const event of stream) kinds.push(event.type);
    assert((await stream.finalResponse()).output_text === whole, "another answer");
    const runner = openai.chat.completions.runTools({
      model: "weather",
      messages: [{ role: "user", content: "What is the weather in Oslo?" }],
      tools: [
        {
          type: "function",
          function: {
            name: "get_weather",
            description: WEATHER_TOOL.description,
            parameters: WEATHER_TOOL.parameters,
            parse: JSON.parse,
            function: ({ city }) => `sunny in ${city}, 20 °C`,
          },
        },
      ],
    });
    const told = await runner.finalContent();
    assert(told.includes("sunny"), told);
    assert((await remembered()).at(-1).content === "sunny in Oslo, 20 °C", "the model was not told the tool's output");
    return `chat, ${kinds.length} events of a response, a tool that the package runs, models`;
  },

  async "strict events"() {
    assert(errors.length === 0, errors.join("; "));
    return `${seen.length} events of ${new Set(seen).size} types; the package checks only that each has a type`;
  },
});
