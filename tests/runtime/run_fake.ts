/** The command line with the fake stages, for tests that need a process to kill. */
import { main } from "../../cli/main.ts";
import { registry } from "./fake_stages.ts";

const thread = new URL("fake_stage_thread.ts", import.meta.url);
// Exit at once, as main.ts does.
Deno.exit(await main(Deno.args, { registry, thread }));
