/**
 * Stages that need a parameter which may be left out: without it they are left out, and so is what takes from them alone.
 *
 * @module
 */
import { child, entriesOf, type Entry, toJS, type Tree } from "../../formats/yaml_tree.ts";

/** A stage as it stands in the file, by its name. */
type StageEntry = readonly [string, Entry];

/**
 * Leaves out the stages that use one of the parameters, and those with an input that has no stage left. Lists of inputs
 * lose the stages that are left out.
 *
 * @param entries Stages by name, as they stand in the file.
 * @param absent Names of parameters without a value.
 * @returns The other stages, in the same order.
 */
export function withoutOptional(entries: readonly StageEntry[], absent: ReadonlySet<string>): StageEntry[] {
  const gone = new Set(entries.filter(([, { node }]) => uses(node, absent)).map(([id]) => id));
  let left: StageEntry[] = entries.filter(([id]) => !gone.has(id));
  for (let before = -1; before !== gone.size;) {
    before = gone.size;
    left = left.flatMap(([id, entry]): StageEntry[] => {
      const node = withInputs(entry.node, gone);
      if (node) return [[id, { ...entry, node }]];
      gone.add(id);
      return [];
    });
  }
  return left;
}

/** True if a value has `${name}` of one of the names in it. */
function uses(tree: Tree, names: ReadonlySet<string>): boolean {
  if (tree.kind === "list") return tree.items.some((item) => uses(item, names));
  if (tree.kind === "map") return [...tree.entries.values()].some(({ node }) => uses(node, names));
  return typeof tree.value === "string" &&
    [...tree.value.matchAll(/\$?\$\{(\w+)\}/g)].some(([use, name = ""]) => !use.startsWith("$$") && names.has(name));
}

/** The stage without inputs from stages that are gone; nothing if an input has none left. */
function withInputs(stage: Tree, gone: ReadonlySet<string>): Tree | undefined {
  const inputs = child(stage, "in");
  if (stage.kind !== "map" || inputs?.kind !== "map") return stage;
  const isGone = (source: Tree) => gone.has(String(toJS(source)).replace(/@.*$/s, ""));
  const entries = new Map<string, Entry>();
  for (const [key, { at, node }] of entriesOf(inputs)) {
    if (node.kind !== "list") {
      if (isGone(node)) return undefined;
      entries.set(key, { at, node });
      continue;
    }
    const items = node.items.filter((source) => !isGone(source));
    if (node.items.length && !items.length) return undefined;
    entries.set(key, { at, node: { ...node, items } });
  }
  const { at } = stage.entries.get("in")!;
  return { ...stage, entries: new Map(stage.entries).set("in", { at, node: { ...inputs, entries } }) };
}
