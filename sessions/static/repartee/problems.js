/** What can go wrong, and what the person in front of the page can do about it. */

const PROBLEMS = {
  insecure: {
    title: "This address is not secure enough for a microphone",
    text: "Browsers give the microphone only to https pages and to this machine itself.",
    help: "Start the server with “make run TLS=1” and open the https address, or open http://localhost on the machine it runs on.",
  },
  "no-worklet": {
    title: "This browser cannot play and record in real time",
    text: "It has no AudioWorklet.",
    help: "Use a current Chrome, Edge, Firefox or Safari.",
  },
  denied: {
    title: "The microphone is blocked",
    text: "The browser, or the system, did not allow this page to listen.",
    help: "Allow the microphone in the address bar’s site settings, then try again.",
    retry: "Try again",
  },
  "no-microphone": {
    title: "No microphone was found",
    text: "The browser knows of no audio input.",
    help: "Plug one in, or choose one in the system’s sound settings, then try again.",
    retry: "Try again",
  },
  "microphone-busy": {
    title: "The microphone cannot be opened",
    text: "Another program may be holding it.",
    help: "Close the other program, then try again.",
    retry: "Try again",
  },
  login: {
    title: "You are not signed in any more",
    text: "The server did not give this page a key.",
    help: "Sign in, then come back to this page.",
    link: "login",
  },
  "key-refused": {
    title: "The server refused this page’s key",
    text: "It may have run out while you waited.",
    help: "Try again: the page asks for a fresh one.",
    retry: "Try again",
  },
  "unknown-agent": {
    title: "This agent is not there",
    text: "It was renamed, or never published.",
    help: "Choose another agent above.",
  },
  full: {
    title: "All lines are busy",
    text: "The server is starting, or has as many conversations as it can hold.",
    help: "Try again in a few seconds.",
    retry: "Try again",
  },
  away: {
    title: "The server does not answer",
    text: "It may be stopped or restarting.",
    help: "Start it with “make run”, then try again.",
    retry: "Try again",
  },
  lost: {
    title: "The connection was lost",
    text: "What was said so far is kept below.",
    help: "Connecting again starts a new conversation.",
    retry: "Connect again",
  },
  "microphone-lost": {
    title: "The microphone was unplugged",
    text: "What was said so far is kept below.",
    help: "Plug it in again, then connect again.",
    retry: "Connect again",
  },
  failed: {
    title: "The agent could not be started",
    text: "The server ended the call.",
    help: "Its log says why. Try again, or choose another agent.",
    retry: "Try again",
  },
};

export class Problem extends Error {
  /** @param {string} kind a key of PROBLEMS @param {string} [detail] the server's own words */
  constructor(kind, detail = "") {
    super(detail || PROBLEMS[kind].text);
    this.kind = kind;
    Object.assign(this, PROBLEMS[kind]);
    if (detail) this.text = detail;
  }
}

/** What stands in the way before anything was tried, or null. */
export function obstacle(scope = globalThis) {
  if (!scope.isSecureContext || !scope.navigator.mediaDevices?.getUserMedia) return new Problem("insecure");
  if (typeof scope.AudioWorkletNode === "undefined") return new Problem("no-worklet");
  return null;
}

const MICROPHONE_ERRORS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "no-microphone",
  OverconstrainedError: "no-microphone",
  NotReadableError: "microphone-busy",
  AbortError: "microphone-busy",
};

/** @param {DOMException} error of getUserMedia */
export function microphoneProblem(error) {
  return new Problem(MICROPHONE_ERRORS[error.name] ?? "microphone-busy");
}
