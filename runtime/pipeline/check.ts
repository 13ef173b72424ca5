/**
 * Contradictions between the options of a stage, its inputs and earlier stages.
 *
 * @module
 */
import { InputError } from "../../formats/input_error.ts";
import { child, type Diagnostic, entriesOf, getIn, PipelineError } from "../../formats/yaml_tree.ts";
import { type AnyStage, type Artifact, type ArtifactInfo, type Conflict, inputsOf } from "../stage.ts";
import type { Draft } from "./inputs.ts";

/** Folder of artifacts that are not made: they are known by their description alone. */
const UNMADE = ".unmade";

/** A draft whose stage type is known. */
type Checkable = Draft & { readonly spec: AnyStage };

/**
 * Has every stage whose own options and inputs are right find its contradictions.
 *
 * @param drafts In an order in which they can run.
 * @param problems Receives the diagnostics, once for all stages that a matrix made of one.
 */
export async function checkStages(drafts: readonly Draft[], problems: Diagnostic[]): Promise<void> {
  const artifacts = new Map<string, Artifact>();
  const faulty = new Set<string>();
  const complain = ({ of }: Draft, found: readonly Diagnostic[]) => {
    if (!faulty.has(of)) problems.push(...found);
    if (found.length) faulty.add(of);
  };
  const describe = async (draft: Draft): Promise<ArtifactInfo> => {
    if (!isCheckable(draft)) throw new Deno.errors.NotFound(`Nothing is known of "${draft.id}"`);
    try {
      return await draft.spec.describeOutput?.(draft.options, inputsOf(draft, artifacts)) ?? {};
    } catch (error) {
      complain(draft, diagnosticsOf(error, draft));
      throw new Deno.errors.NotFound(`Nothing is known of "${draft.id}"`);
    }
  };
  for (const draft of drafts) {
    let known: Promise<ArtifactInfo> | undefined;
    artifacts.set(draft.id, { dir: UNMADE, stage: draft.id, info: () => known ??= describe(draft) });
  }
  for (const draft of drafts) {
    if (!isCheckable(draft)) continue;
    const given = new Set(entriesOf(child(draft.tree, "with")).map(([key]) => key));
    try {
      const conflicts = await draft.spec.check?.(draft.options, inputsOf(draft, artifacts), given) ?? [];
      complain(draft, conflicts.filter((one) => one !== undefined && one !== false).map((one) => place(one, draft)));
      await artifacts.get(draft.id)!.info!();
    } catch (error) {
      complain(draft, diagnosticsOf(error, draft));
    }
  }
}

function isCheckable(draft: Draft): draft is Checkable {
  if (!draft.spec || !draft.valid) return false;
  const required = Object.keys(draft.spec.inputs).filter((key) => !key.endsWith("?")).map((key) =>
    key.replace("*", "")
  );
  return required.every((name) => draft.inputs[name]?.length);
}

/** An error of a file that a stage reads; none if nothing is known yet of what it reads. */
function diagnosticsOf(error: unknown, { id, at }: Draft): readonly Diagnostic[] {
  if (error instanceof PipelineError) return error.problems;
  if (error instanceof InputError) return [{ at, message: `Cannot run stage "${id}": ${error.message}` }];
  if (error instanceof Deno.errors.NotFound) return [];
  throw error;
}

/** A conflict at the option or input that it is about, or at the stage where that is not in the file. */
function place({ option, input, reason, hint }: Conflict, { id, at, tree }: Draft): Diagnostic {
  const path = option === undefined ? input === undefined ? [] : ["in", input] : ["with", ...[option].flat()];
  const name = path.slice(1).join(".");
  const what = name === ""
    ? `run stage "${id}"`
    : `use ${option === undefined ? "input " : ""}"${name}" in stage "${id}"`;
  return { at: (path.length ? getIn(tree, path)?.at : undefined) ?? at, message: `Cannot ${what} as ${reason}`, hint };
}
