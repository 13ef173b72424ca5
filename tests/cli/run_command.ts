import { main } from "../../cli/main.ts";
import type { Registry } from "../../runtime/pipeline/file.ts";
import { stages } from "../../stages/mod.ts";

/** Runs a command line: its exit code, the lines that it prints, events of runs among them, and the text of its errors and notes. */
export async function runCommand(
  args: readonly string[],
  registry: Registry = stages,
  from?: string,
): Promise<{ code: number; lines: string[]; notes: string }> {
  const lines: string[] = [];
  const notes: string[] = [];
  const print = (line = "") => void lines.push(line);
  const output = {
    writeSync(bytes: Uint8Array) {
      lines.push(...new TextDecoder().decode(bytes).replace(/\n$/, "").split("\n"));
      return bytes.length;
    },
    isTerminal: () => false,
  };
  const code = await main(args, { registry, from, print, output, note: (line) => void notes.push(line) });
  return { code, lines, notes: notes.join("\n") };
}
