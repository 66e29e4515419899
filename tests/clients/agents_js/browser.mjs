// OpenAI's Agents SDK for JavaScript in Chromium: bundles page.mjs, serves it, and prints what it tells.

import { spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { secret } from "./secrets.mjs";

const env = process.env;
const PAGE = `<!doctype html><title>Agents</title><script>
  onerror = onunhandledrejection = (event) =>
    fetch("/line", { method: "POST", body: String(event.reason?.stack ?? event) });
</script><script type="module" src="/page.js"></script>`;

const bundle = await build({
  entryPoints: ["page.mjs"],
  bundle: true,
  format: "esm",
  platform: "browser",
  external: ["node:fs"], // what driving.mjs imports only where it is no page
  write: false,
});
const files = {
  "/": ["text/html", PAGE],
  "/page.js": ["text/javascript", bundle.outputFiles[0].text],
  "/speech": ["application/octet-stream", readFileSync(env.SPEECH_FILE)],
  "/settings": [
    "application/json",
    JSON.stringify({ REPARTEE_BASE_URL: env.REPARTEE_BASE_URL, SPEECH_WORDS: env.SPEECH_WORDS }),
  ],
};
const told = {
  "/line": (text) => console.log(text),
  "/frame": (text) => appendFileSync(env.WIRE_FILE, text),
  "/end": () => end(),
};

async function answer(request) {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/secret") return ["text/plain", await secret(url.searchParams.get("model"))];
  if (url.pathname === "/_log") return ["application/json", await (await fetch(`${env.SCRIPTED_PROVIDER}/_log`)).text()];
  if (request.method === "GET") return files[url.pathname];
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  told[url.pathname](Buffer.concat(pieces).toString());
  return ["text/plain", ""];
}

const server = createServer(async (request, response) => {
  const [type, body] = (await answer(request)) ?? [];
  response.writeHead(type ? 200 : 404, { "Content-Type": type ?? "text/plain" }).end(body);
});
await new Promise((resolve) => server.listen(0, "localhost", resolve));

const profile = mkdtempSync(join(tmpdir(), "repartee-chromium-"));
const chromium = spawn(
  env.CHROMIUM,
  [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    `--user-data-dir=${profile}`,
    `http://localhost:${server.address().port}/`,
  ],
  { stdio: "ignore" },
);
chromium.on("exit", () => {
  rmSync(profile, { recursive: true, force: true });
  process.exit(0);
});

const end = () => chromium.kill();
