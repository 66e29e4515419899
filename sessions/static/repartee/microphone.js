/** The microphone: 20 ms frames of 24 kHz PCM16, with the context time of every sample. */

import { microphoneProblem } from "./problems.js";

const CONSTRAINTS = {
  audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
};

export async function askForMicrophone() {
  try {
    return await navigator.mediaDevices.getUserMedia(CONSTRAINTS);
  } catch (error) {
    throw microphoneProblem(error);
  }
}

export class Microphone extends EventTarget {
  #node;
  #source;
  #stream;
  #startTime = null;

  /**
   * Dispatches "frame" ({pcm, startSample, level}) and "lost" when the device goes away.
   * @param {AudioContext} context with capture-worklet.js loaded
   * @param {MediaStream} stream
   * @param {AudioNode} reference what is played, for the echo guard
   */
  constructor(context, stream, reference) {
    super();
    this.#stream = stream;
    this.#source = context.createMediaStreamSource(stream);
    this.#node = new AudioWorkletNode(context, "repartee-capture", {
      numberOfInputs: 2,
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.#source.connect(this.#node, 0, 0);
    reference.connect(this.#node, 0, 1);
    this.#node.port.onmessage = ({ data }) => {
      this.#startTime = data.startTime;
      this.dispatchEvent(new CustomEvent("frame", { detail: data }));
    };
    for (const track of stream.getTracks()) track.onended = () => this.dispatchEvent(new Event("lost"));
  }

  /** The context time, in seconds, at which sound of `sample` reached the microphone. */
  timeOf(sample, rate) {
    const latency = this.#stream.getAudioTracks()[0]?.getSettings().latency ?? 0;
    return this.#startTime === null ? null : this.#startTime + sample / rate - latency;
  }

  mute(muted) {
    this.#node.port.postMessage({ muted });
  }

  close() {
    this.#node.port.postMessage({ close: true });
    this.#node.port.onmessage = null;
    this.#source.disconnect();
    for (const track of this.#stream.getTracks()) {
      track.onended = null;
      track.stop();
    }
  }
}
