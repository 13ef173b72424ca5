/**
 * The command `golden`.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { gpuOption, openChosen } from "./_device.ts";
import { type Context, Exit } from "./command.ts";
import { runGolden } from "./golden/main.ts";

/** Declares `golden`. */
export const golden = ({ print, note }: Context) =>
  new Command()
    .argument("<DIR>", "folder of golden cases")
    .option("--filter <TEXT>", "only cases whose names contain this text")
    .addOption(gpuOption())
    .addHelpText("after", "\nExample:\n  deno task golden tests/golden --filter unet")
    .action(async (dir, { filter, gpu }) => {
      const code = await runGolden(dir, {
        print,
        open: () => openChosen(gpu, { note }),
        ...(filter !== undefined && { filter }),
      });
      if (code) throw new Exit(code);
    });
