/**
 * Plays calls through the talk page's jitter buffer, on the clock of their arrivals.
 *
 *   node benchmarks/jitter_buffer.mjs sessions/static/repartee/jitter-buffer.js < calls.json
 *
 * In: [{targetMs, items: [{pieces: [[arrivesAtMs, ms], …], endsAtMs}, …]}, …]. Out: for each item {waitedMs, dryMs, underruns}.
 */

import { readFileSync } from "node:fs";

const source = readFileSync(process.argv[2], "utf8");
const { JitterBuffer } = await import(`data:text/javascript;base64,${Buffer.from(source).toString("base64")}`);

const RATE = 24_000;
const QUANTUM = 64; // 128 samples at 48 kHz
const samples = (ms) => Math.round((ms * RATE) / 1000);

function play({ targetMs, items }) {
  const buffer = new JitterBuffer(RATE);
  buffer.expect?.(targetMs);
  const script = items.flatMap(({ pieces, endsAtMs }, n) => [
    ...pieces.map(([at, ms]) => ({ at: samples(at), id: `item_${n}`, pcm: new Int16Array(samples(ms)).fill(8000) })),
    { at: samples(endsAtMs), id: `item_${n}` },
  ]);
  script.sort((a, b) => a.at - b.at); // stable: pieces before their end
  const output = new Float32Array(QUANTUM);
  const seen = items.map(({ pieces }) => ({ waitedMs: 0, dryMs: 0, underruns: 0, first: samples(pieces[0][0]), dryFrom: null }));
  let next = 0;
  for (let now = 0; next < script.length || buffer.now !== null; now += QUANTUM) {
    for (; next < script.length && script[next].at <= now; next++) {
      if (script[next].pcm) buffer.push(script[next].id, script[next].pcm);
      else buffer.finish(script[next].id);
    }
    const before = buffer.now;
    buffer.render(output);
    const item = before && seen[Number(before.id.slice(5))];
    if (item && item.dryFrom !== null && buffer.now?.position !== before.position) {
      item.dryMs += ((now - item.dryFrom) * 1000) / RATE;
      item.dryFrom = null;
    }
    for (const { type, id, at } of buffer.events.splice(0)) {
      const one = seen[Number(id.slice(5))];
      if (type === "started") one.waitedMs = ((at - one.first) * 1000) / RATE;
      if (type === "underrun") {
        one.underruns += 1;
        one.dryFrom = at;
      }
    }
  }
  return seen.map(({ waitedMs, dryMs, underruns }) => ({ waitedMs, dryMs, underruns }));
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(play)));
