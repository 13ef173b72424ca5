/** The program: `deno task NAME`, see deno.json. */
import { main } from "./cli/main.ts";
import { stages } from "./stages/mod.ts";

const thread = new URL("./stages/lib/stage_worker.ts", import.meta.url);
// Exit at once: the driver's threads may outlive the work.
Deno.exit(
  await main(Deno.args, {
    registry: stages,
    thread,
    exits: true,
    from: Deno.env.get("INIT_CWD"),
    ...(Deno.stderr.isTerminal() && { progress: Deno.stderr }),
  }),
);
