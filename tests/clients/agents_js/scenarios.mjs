// What is tried with OpenAI's Agents SDK for JavaScript, under node and in a page. `secret(model)` makes a client secret.

import { tool } from "@openai/agents-realtime";
import { z } from "zod";
import { agentRemembers, assert, heard, NotApplicable, remembered, seconds, sleep, stage } from "./driving.mjs";
import { dropped, errors, seen, Talk } from "./talk.mjs";

const TEXT = { outputModalities: ["text"] };
const called = [];

const getWeather = tool({
  name: "get_weather",
  description: "The weather of a city.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    called.push(city);
    return "sunny, 20 °C";
  },
});

async function answered(talk, question) {
  talk.session.sendMessage(question);
  const { text } = await talk.last("agent_end");
  assert(text.includes("nine o'clock"), `another answer: ${text}`);
  talk.close();
}

// The user's item is retrieved after its transcription, and comes once the agent has spoken.
async function said(talk) {
  for (let n = 0; n < 100 && !talk.shown("user").trim(); n++) await sleep(100);
  return talk.shown("user");
}

export const scenarios = (secret) => ({
  async "text turn"() {
    await answered(await Talk.open("clerk", { config: TEXT }), "When do you open?");
    return "agent_end tells the answer";
  },

  // With what the SDK asks for by itself: semantic_vad, and transcription by gpt-4o-mini-transcribe.
  async "voice turn"() {
    const talk = await Talk.open("guide");
    const mouth = talk.speak();
    await talk.last("input_audio_buffer.speech_started");
    const { text } = await talk.last("agent_end");
    mouth.stop();
    const understood = heard(await said(talk));
    const spoken = seconds(talk.audioBytes);
    talk.close();
    assert(text && spoken > 0.5, `${spoken} s of speech came back`);
    return `${understood}, ${spoken.toFixed(1)} s of speech came back`;
  },

  async "manual commit"() {
    const talk = await Talk.open("clerk", { config: { audio: { input: { turnDetection: null } } } });
    // The SDK updates the session twice, and its tracing may come first.
    while ((await talk.last("session.updated")).session.audio.input.turn_detection !== null);
    talk.session.sendAudio(Uint8Array.from(stage.speech).buffer, { commit: true });
    await talk.last("input_audio_buffer.committed");
    talk.transport.sendEvent({ type: "response.create" });
    const { text } = await talk.last("agent_end");
    assert(text.includes("nine o'clock"), `another answer: ${text}`);
    const understood = heard(await said(talk));
    talk.close();
    return understood;
  },

  async "tool round trip"() {
    const talk = await Talk.open("weather", { tools: [getWeather], config: TEXT });
    talk.session.sendMessage("What is the weather in Oslo?");
    const { name, result } = await talk.last("agent_tool_end");
    let text = "";
    while (!text.includes("sunny")) ({ text } = await talk.last("agent_end"));
    talk.close();
    assert(name === "get_weather" && result === "sunny, 20 °C" && called.join() === "Oslo", `${name}: ${result}`);
    assert((await remembered()).at(-1).content === "sunny, 20 °C", "the model was not told the tool's output");
    return "the SDK ran get_weather('Oslo') and the answer used it";
  },

  // The SDK itself truncates when it is told that the user speaks, and retrieves what is left.
  async "barge-in"() {
    const talk = await Talk.open("story");
    talk.session.sendMessage("Tell me a story.");
    await talk.last("response.output_audio.delta");
    await sleep(2000);
    const mouth = talk.speak();
    await talk.last("audio_interrupted");
    const { response } = await talk.last("response.done");
    const truncated = await talk.last("conversation.item.truncated");
    const { item } = await talk.last("conversation.item.retrieved");
    await talk.last("response.output_audio.delta");
    mouth.stop();
    talk.close();
    assert(response.status_details.reason === "turn_detected", JSON.stringify(response.status_details));
    assert(truncated.item_id === item.id, "another item was retrieved");
    return await agentRemembers(item.content[0].transcript, truncated.audio_end_ms);
  },

  async "bad key"() {
    const talk = new Talk("clerk");
    const shown = await talk.connect("ek_wrong").then(
      () => "nothing",
      (error) => `${error.constructor.name}: ${error.message ?? error.type}`,
    );
    errors.pop();
    assert(shown !== "nothing", "connected with a wrong key");
    return shown;
  },

  async "client secret"() {
    const key = await secret("clerk");
    assert(key.startsWith("ek_"), "no ek_");
    await answered(await Talk.open("clerk", { key, config: TEXT }), "When do you open?");
    return "opened a session and held a turn";
  },

  async transcription() {
    throw new NotApplicable("the SDK opens conversations only");
  },

  async "text over HTTP"() {
    throw new NotApplicable("the package speaks Realtime only");
  },

  async "strict events"() {
    assert(errors.length === 0, errors.join("; "));
    assert(dropped.size === 0, `the SDK dropped ${[...new Set(dropped.values())].join(", ")}`);
    return `${seen.length} events of ${new Set(seen).size} types passed the SDK's zod schemas`;
  },
});
