import assert from "node:assert/strict";
import { type JsonSchema, jsonSchema, optionsOf } from "../../formats/schema_describe.ts";
import { stages } from "../../stages/mod.ts";

/** Paths of the options that lack a description. */
function undescribed({ properties = {} }: JsonSchema, prefix: string): string[] {
  return Object.entries(properties).flatMap(([name, schema]) =>
    schema.description ? [] : schema.properties ? undescribed(schema, `${prefix}.${name}`) : [`${prefix}.${name}`]
  );
}

Deno.test("every stage type has the id it is registered by, and describes itself and its options", async () => {
  for (const [id, load] of Object.entries(stages)) {
    const spec = await load();
    assert.equal(spec.id, id);
    assert.match(spec.doc, /^[A-Z].*\.$/s);
    assert.deepEqual(undescribed(jsonSchema(optionsOf(spec)), id), []);
  }
});

Deno.test("every stage type that a file declares is registered", async () => {
  const folder = new URL("../../stages/", import.meta.url);
  const declared = [...Deno.readDirSync(folder)].filter(({ isDirectory }) => isDirectory).flatMap(({ name }) =>
    [...Deno.readDirSync(new URL(`${name}/`, folder))].map((file) => `${name}/${file.name}`)
  ).filter((path) => path.endsWith(".ts")).flatMap((path) =>
    [...Deno.readTextFileSync(new URL(path, folder)).matchAll(/= stage\(\{\s*id: "([^"]+)"/g)].map(([, id]) => id)
  );
  assert.deepEqual(declared.sort(), Object.keys(stages).sort());
  assert(await stages["report/html"]!());
});
