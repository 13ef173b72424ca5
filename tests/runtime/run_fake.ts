/** The command line with the fake stages, for tests that need a process to kill. */
import { main, pipelineCommands } from "../../runtime/cli.ts";
import { registry } from "./fake_stages.ts";

Deno.exitCode = await main(Deno.args, pipelineCommands(registry));
