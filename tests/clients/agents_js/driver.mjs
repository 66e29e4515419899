// OpenAI's Agents SDK for JavaScript, under node.

import { run } from "./driving.mjs";
import { scenarios } from "./scenarios.mjs";
import { secret } from "./secrets.mjs";

await run(scenarios(secret));
