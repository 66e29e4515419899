// OpenAI's Agents SDK for JavaScript, in a page.

import { run, stage } from "./driving.mjs";
import { scenarios } from "./scenarios.mjs";

await run(scenarios(stage.keyFor));
