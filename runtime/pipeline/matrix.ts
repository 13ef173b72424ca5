/**
 * Sweeps: a stage with a `matrix` stands once for each combination of its values, and so does every stage that takes
 * from it by its plain name.
 *
 * @module
 */
import { child, type Diagnostic, entriesOf, isUnset, type Place, toJS, type Tree } from "../../formats/yaml_tree.ts";
import { lookUp } from "../../engine/lookup.ts";

/** A stage of the file, or one of the stages that its matrix makes of it. */
export interface Variant {
  /** `name`, or `name@key=value,key=value`. */
  readonly id: string;
  /** Its name in the file. */
  readonly of: string;
  readonly at: Place;
  /** The stage, its inputs renamed to variants. */
  readonly node: Tree;
  /** The matrix' values for this one, by key. */
  readonly values: ReadonlyMap<string, Tree>;
}

/** Keys of a matrix with the values of each. */
type Matrix = ReadonlyMap<string, readonly Tree[]>;

/** The most stages that one may become. */
const MOST = 1000;

/**
 * Makes the variants of all stages; without any matrix they are the stages themselves.
 *
 * @param entries Stages by name, as they stand in the file.
 * @param fill Puts the pipeline's parameters in.
 */
export function expandMatrix(
  entries: readonly (readonly [string, { readonly at: Place; readonly node: Tree }])[],
  fill: (tree: Tree) => Tree,
  problems: Diagnostic[],
): Variant[] {
  const stages = new Map(entries);
  const known = new Map<string, Matrix>();
  const matrixOf = (id: string, above: readonly string[] = []): Matrix => {
    const found = known.get(id);
    if (found || above.includes(id)) return found ?? new Map();
    const { at: place, node } = lookUp(stages, id, "stages");
    const matrix = new Map<string, readonly Tree[]>();
    const add = (key: string, values: readonly Tree[], at: Place, from: string) => {
      const old = matrix.get(key);
      if (old && JSON.stringify(old.map(toJS)) !== JSON.stringify(values.map(toJS))) {
        const message = `Cannot vary "${key}" in stage "${id}" as ${from} has other values for it`;
        problems.push({ at, message, hint: "name the list under params and write ${name}" });
      } else matrix.set(key, values);
    };
    for (const source of sourcesOf(node)) {
      const name = toJS(source);
      if (typeof name !== "string" || !stages.has(name)) continue;
      for (const [key, values] of matrixOf(name, [...above, id])) add(key, values, source.at, `input "${name}"`);
    }
    for (const [key, { at, node: list }] of entriesOf(child(node, "matrix"))) {
      add(key, valuesOf(id, key, fill(list), problems), at, "one of its inputs");
    }
    const count = [...matrix.values()].reduce((product, { length }) => product * length, 1);
    if (count > MOST) {
      const message = `Cannot vary stage "${id}" as it would become ${count} stages: at most ${MOST} are allowed`;
      problems.push({ at: place, message });
      matrix.clear();
    }
    known.set(id, matrix);
    return matrix;
  };
  const variantsOf = (id: string) =>
    combinations(matrixOf(id)).map((values) => ({ id: variantId(id, values), values }));
  return entries.flatMap(([of, { at, node }]) =>
    variantsOf(of).map(({ id, values }): Variant => {
      const rename = (source: Tree): Tree[] => {
        const name = toJS(source);
        if (typeof name !== "string") return [source];
        const put = (value: string): Tree => ({ kind: "scalar", at: source.at, value });
        const all = name.endsWith("@*") ? name.slice(0, -2) : "";
        if (stages.has(all)) return variantsOf(all).map((variant) => put(variant.id));
        if (!stages.has(name)) return [source];
        return [
          put(variantId(name, new Map([...matrixOf(name).keys()].map((key) => [key, lookUp(values, key, "values")])))),
        ];
      };
      return { id, of, at, node: renameSources(node, rename), values };
    })
  );
}

function variantId(id: string, values: ReadonlyMap<string, Tree>): string {
  const words = [...values].filter(([, value]) => !isUnset(value)).map(([key, value]) => `${key}=${toJS(value)}`);
  return words.length ? `${id}@${words.join(",")}` : id;
}

/** A key's values, checked: they become names of folders. */
function valuesOf(id: string, key: string, list: Tree, problems: Diagnostic[]): readonly Tree[] {
  if (isUnset(list)) return [list];
  const wrong = (at: Place, rule: string, value: unknown) => {
    const message = `Cannot vary "${key}" in stage "${id}" as ${rule}: current value is ${JSON.stringify(value)}`;
    problems.push({ at, message });
    return [];
  };
  if (list.kind !== "list" || !list.items.length) return wrong(list.at, "it must be a list of values", toJS(list));
  const seen = new Set<string>();
  return list.items.flatMap((item): readonly Tree[] => {
    const value = toJS(item);
    if (item.kind !== "scalar" || value === null || !/^[\w.+-]+$/.test(String(value))) {
      return wrong(item.at, "each must be a word or a number", value);
    }
    if (key === "seed" && !(Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32)) {
      return wrong(item.at, "a seed must be a whole number from 0 to 4294967295", value);
    }
    if (seen.has(String(value))) return wrong(item.at, "each may stand once", value);
    seen.add(String(value));
    return [item];
  });
}

function combinations(matrix: Matrix): ReadonlyMap<string, Tree>[] {
  return [...matrix].reduce<ReadonlyMap<string, Tree>[]>(
    (rows, [key, values]) => rows.flatMap((row) => values.map((value) => new Map([...row, [key, value]]))),
    [new Map()],
  );
}

function sourcesOf(stage: Tree): Tree[] {
  return entriesOf(child(stage, "in")).flatMap(([, { node }]) => node.kind === "list" ? [...node.items] : [node]);
}

/** The stage without its matrix, with other names in its inputs. */
function renameSources(stage: Tree, rename: (source: Tree) => Tree[]): Tree {
  if (stage.kind !== "map") return stage;
  const entries = new Map(stage.entries);
  entries.delete("matrix");
  const inputs = entries.get("in");
  if (inputs?.node.kind === "map") {
    const renamed = [...inputs.node.entries].map(([key, { at, node }]) => {
      const sources = (node.kind === "list" ? node.items : [node]).flatMap(rename);
      const [one, ...others] = sources;
      const isOne = node.kind !== "list" && one && !others.length;
      return [key, { at, node: isOne ? one : { kind: "list" as const, at: node.at, items: sources } }] as const;
    });
    entries.set("in", { ...inputs, node: { ...inputs.node, entries: new Map(renamed) } });
  }
  return { ...stage, entries };
}
