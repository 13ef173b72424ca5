/**
 * The configuration that is given with a checkpoint.
 *
 * @module
 */

import { parse } from "yaml";
import { readText } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { MOST_LEVELS, tooDeepAt } from "../../formats/yaml_depth.ts";
import { type OriginalConfig, originalConfig } from "./infer_config.ts";
import { classIn } from "./network_kinds.ts";

/** Content of `--config`. */
export interface Given {
  readonly path: string;
  readonly original?: OriginalConfig;
  readonly network?: object;
}

/** Reads the file of `--config`: an original's YAML file or a network's `config.json`. */
export async function readGiven(path: string): Promise<Given> {
  const text = await readText(path);
  if (tooDeepAt(text) !== undefined) {
    throw new InputError(`Cannot read ${path} as more than ${MOST_LEVELS} lists and maps are nested`);
  }
  let given;
  try {
    given = parse(text);
  } catch (error) {
    throw new InputError(`Cannot read ${path} as YAML or JSON: ${(error as Error).message}`);
  }
  if (classIn(given)) return { path, network: given };
  const result = originalConfig.safeParse(given);
  if (result.success) return { path, original: result.data.model.params };
  const problems = result.error.issues.map(({ path, message }) => `\n  "${path.join(".")}": ${message}`);
  throw new InputError(
    `Cannot read ${path} as the configuration of a checkpoint: it has no _class_name or model_type as a config.json ` +
      `has, and is no YAML file of the originals:${problems.join("")}`,
  );
}
