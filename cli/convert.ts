/**
 * The command `convert`.
 *
 * @module
 */
import { convertCheckpoint, type Converted } from "../models/io/convert.ts";
import { one, parse, UsageError } from "./main.ts";

/**
 * Converts a checkpoint into a folder in the layout of diffusers.
 *
 * @returns The exit code.
 * @throws {UsageError} If the arguments or the checkpoint are wrong.
 */
export async function convert(args: string[], print: (line: string) => void): Promise<number> {
  const options = {
    dtype: { type: "string", default: "f32" },
    config: { type: "string" },
    tokenizer: { type: "string" },
    ema: { type: "boolean", default: false },
  } as const;
  const { values: { dtype, ...values }, positionals } = parse({ args, options, allowPositionals: true });
  if (dtype !== "f16" && dtype !== "f32") throw new UsageError(`Cannot set --dtype to "${dtype}": it is f16 or f32`);
  const [from, ...rest] = positionals;
  if (from === undefined) throw new UsageError("Cannot convert as no checkpoint is given");
  const to = one(rest, "folder to write");
  let converted: Converted;
  try {
    converted = await convertCheckpoint(from, to, { ...values, dtype: dtype === "f16" ? "F16" : "F32" });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new UsageError(`Cannot convert: ${error.message}`);
    if (error instanceof Deno.errors.NotCapable) {
      throw new UsageError(
        `Cannot write ${to}: the command may write below this folder only, hint: move it from there`,
      );
    }
    throw error;
  }
  const { parts, left_out } = converted;
  for (const { folder, network, tensors, parameters } of parts) {
    print(`${folder ? `${to}/${folder}` : to}: ${network}, ${tensors} tensors, ${parameters} parameters`);
  }
  if (left_out.length) print(`left out: ${left_out.join(", ")}`);
  if (parts.length > 1 && !await Deno.stat(`${to}/tokenizer`).then(() => true, () => false)) {
    print(`${to} has no tokenizer, which a checkpoint does not hold, hint: add --tokenizer DIR`);
  }
  return 0;
}
