/**
 * The stages of a pipeline among each other: what they take, and in which order they run.
 *
 * @module
 */
import type { AnyOptions, AnyStage } from "../stage.ts";
import { child, type Diagnostic, entriesOf, type Place, suggest, toJS, type Tree } from "../../formats/yaml_tree.ts";

/** A stage that is being read: the parts that are known even if others are wrong. */
export interface Draft {
  readonly id: string;
  readonly of: string;
  readonly seed: number | undefined;
  readonly at: Place;
  readonly tree: Tree;
  readonly spec: AnyStage | undefined;
  readonly options: AnyOptions;
  /** True if all options are given and valid. */
  readonly valid: boolean;
  readonly files: string[];
  inputs: Record<string, string[]>;
  /** Inputs that ask for all stages, `"*"`. */
  readonly all: string[];
}

/** Checks the inputs of all stages and fills in `inputs`. */
export function connect(drafts: readonly Draft[], all: Diagnostic[]): void {
  const byId = new Map(drafts.map((draft) => [draft.id, draft]));
  const faulty = new Set<string>();
  for (const draft of drafts) {
    if (!draft.spec) continue;
    const problems: Diagnostic[] = [];
    const wanted = Object.entries(draft.spec.inputs).map(([key, kind]) => {
      const name = key.replace(/[?*]$/, "");
      return { name, kind, optional: key.endsWith("?"), list: key.endsWith("*") };
    });
    const given = entriesOf(child(draft.tree, "in"));
    for (const { name, kind } of wanted.filter(({ optional }) => !optional)) {
      if (given.some(([key]) => key === name)) continue;
      const fits = drafts.filter(({ spec, id }) => id !== draft.id && spec && (kind === "any" || spec.output === kind));
      const message = `Cannot run stage "${draft.id}" as input "${name}" is missing: it takes ${article(kind)}`;
      const hint = fits.length ? `write in: { ${name}: ${fits.map(({ id }) => id).join(" or ")} }` : undefined;
      problems.push({ at: draft.at, message, hint });
    }
    for (const [name, { at, node }] of given) {
      const want = wanted.find((one) => one.name === name);
      if (!want) {
        const hint = suggest(name, wanted.map((one) => one.name), "its inputs");
        const message = `Cannot use input "${name}" in stage "${draft.id}": ${draft.spec.id} has no such input`;
        problems.push({ at, message, hint });
        continue;
      }
      if (want.list && node.kind === "scalar" && node.value === "*") {
        draft.all.push(name);
        continue;
      }
      if (!want.list && node.kind === "list") {
        const message =
          `Cannot read input "${name}" of stage "${draft.id}" as it takes one stage: current value is a list`;
        problems.push({ at: node.at, message });
        continue;
      }
      const sources = node.kind === "list" ? node.items : [node];
      draft.inputs[name] = sources.flatMap((source) => {
        const problem = checkSource(draft.id, name, want.kind, source, byId);
        if (problem) problems.push(problem);
        const id = toJS(source);
        return typeof id === "string" && byId.has(id) ? [id] : [];
      });
    }
    if (!faulty.has(draft.of)) all.push(...problems);
    if (problems.length) faulty.add(draft.of);
  }
  for (const draft of drafts) {
    // "*" is every stage that neither takes "*" itself nor depends on this one.
    for (const name of draft.all) {
      const others = drafts.filter((other) => other.all.length === 0 && !reaches(other, draft.id, byId));
      const kind = draft.spec?.inputs[`${name}*`];
      draft.inputs[name] = others.filter(({ spec }) => kind === "any" || spec?.output === kind).map(({ id }) => id);
    }
  }
}

function checkSource(
  id: string,
  name: string,
  kind: string,
  source: Tree,
  byId: Map<string, Draft>,
): Diagnostic | undefined {
  if (source.kind !== "scalar" || typeof source.value !== "string") return undefined;
  const take = `Cannot take input "${name}" of stage "${id}" from "${source.value}" as`;
  const other = byId.get(source.value);
  if (!other) {
    const hint = suggest(source.value, [...byId.keys()].filter((key) => key !== id), "stages");
    return { at: source.at, message: `${take} there is no such stage`, hint };
  }
  if (!other.spec || kind === "any" || other.spec.output === kind) return undefined;
  const fits = [...byId.values()].filter(({ spec }) => spec?.output === kind).map((draft) => draft.id);
  const hint = fits.length ? `stages that make ${article(kind)}: ${fits.join(", ")}` : undefined;
  return {
    at: source.at,
    message: `${take} it takes ${article(kind)}: ${other.spec.id} makes ${article(other.spec.output)}`,
    hint,
  };
}

const article = (kind: string) => kind === "any" ? "any stage" : `a ${kind}`;

/** All stages that a stage takes from. */
export function needsOf(draft: Draft): string[] {
  return [...new Set(Object.values(draft.inputs).flat())];
}

function reaches(from: Draft, target: string, byId: Map<string, Draft>, seen = new Set<string>()): boolean {
  if (from.id === target) return true;
  if (seen.has(from.id)) return false;
  seen.add(from.id);
  return needsOf(from).some((id) => {
    const needed = byId.get(id);
    return needed !== undefined && reaches(needed, target, byId, seen);
  });
}

/** Dependencies first, else the order of the file. */
export function sort(drafts: readonly Draft[], problems: Diagnostic[]): Draft[] {
  const byId = new Map(drafts.map((draft) => [draft.id, draft]));
  const done = new Set<string>();
  const order: Draft[] = [];
  const visit = (draft: Draft, path: readonly string[]): void => {
    if (done.has(draft.id)) return;
    const start = path.indexOf(draft.id);
    if (start >= 0) {
      const circle = [...path.slice(start), draft.id].join(" -> ");
      problems.push({ at: draft.at, message: `Cannot order the stages as "${draft.id}" needs itself: ${circle}` });
      return;
    }
    for (const id of needsOf(draft)) {
      const before = byId.get(id);
      if (before) visit(before, [...path, draft.id]);
    }
    done.add(draft.id);
    order.push(draft);
  };
  for (const draft of drafts) visit(draft, []);
  return order;
}
