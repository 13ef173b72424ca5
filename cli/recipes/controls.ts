/// <reference lib="dom" />
/**
 * Controls of the values of a file, made from its schema: sliders, colours, choices, texts.
 *
 * @module
 */
import { element } from "../correct/elements.ts";
import type { Change, PageSchema } from "./api.ts";
import { givenAt, state } from "./state.ts";

type Path = readonly (string | number)[];

/** Sets a value; null takes it out. */
export type SetValue = (path: Path, value: Change["value"]) => void;

/** A control on the page. */
interface Control {
  readonly path: Path;
  readonly row: HTMLElement;
  /** Shows the value that the file gives, or its default. */
  update(): void;
}

let controls: Control[] = [], shape = "", set: SetValue;

/** Makes an element with attributes and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Makes the controls of the open file, or shows its values in those that are there. */
export function showControls(schema: PageSchema, setValue: SetValue): void {
  const now = JSON.stringify([state.draft.saved.file, shapeOf(state.given, schema)]);
  if (now !== shape) {
    shape = now;
    set = setValue;
    controls = [];
    const open = new Set(
      [...document.querySelectorAll<HTMLDetailsElement>("#controls details[open]")].map(({ id }) => id),
    );
    const rows = rowsOf(schema, [], schema.required ?? []);
    const words = rows.filter((row) => row.className === "control"), parts = rows.filter((row) => !words.includes(row));
    element("controls").replaceChildren(section("Name", ["name"], words), ...parts);
    if (!open.size) parts[0]?.setAttribute("open", "");
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  }
  for (const control of controls) control.update();
  filterControls();
}

/** The parts of a file's values that decide which controls there are. */
function shapeOf(value: unknown, schema: PageSchema | undefined): unknown {
  if (!schema || typeof value !== "object" || value === null) return null;
  if (Array.isArray(value)) {
    return schema.items?.properties ? value.map((item) => shapeOf(item, schema.items)) : value.length;
  }
  const more = schema.additionalProperties;
  return Object.entries(value).map(([key, item]) => {
    const inner = schema.properties?.[key] ?? (typeof more === "object" ? more : undefined);
    return inner?.properties || inner?.items || typeof more === "object" ? [key, shapeOf(item, inner)] : null;
  });
}

/** Hides the controls that were not looked for. */
export function filterControls(): void {
  const words = element<HTMLInputElement>("find").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const only = element<HTMLInputElement>("only-set").checked;
  for (const { row, path } of controls) {
    const text = `${path.join(" ")} ${row.textContent}`.replaceAll("_", " ").toLowerCase();
    row.hidden = !words.every((word) => text.includes(word)) || (only && !row.classList.contains("set"));
  }
  for (const section of document.querySelectorAll<HTMLDetailsElement>("#controls details")) {
    const rows = [...section.querySelectorAll<HTMLElement>(".control")];
    section.hidden = rows.every(({ hidden }) => hidden);
    if (words.length || only) section.open = true;
    const count = rows.filter((row) => row.matches(".set:has(.reset)")).length;
    section.querySelector("summary small")!.textContent = count ? `${count} set` : "";
  }
}

const words = (key: unknown) => String(key).replaceAll("_", " ");

/** Name of a value, with the unit behind it: `offset_iod` is "offset y, iod". */
function labelOf(key: string, axis = ""): string {
  const [, name = key, unit] = /^(.+)_(iod|deg)$/.exec(key) ?? [];
  return words(name) + (axis && ` ${axis}`) + (unit ? `, ${unit === "deg" ? "degrees" : unit}` : "");
}

function rowsOf(schema: PageSchema, path: Path, required: readonly string[]): HTMLElement[] {
  const keyed = Object.entries(schema.properties ?? {});
  const more = schema.additionalProperties, given = givenAt(path);
  if (typeof more === "object" && typeof given === "object" && given !== null) {
    keyed.push(...Object.keys(given).map((key) => [key, more] as [string, PageSchema]));
  }
  return keyed.flatMap(([key, inner]) => rowsFor(key, inner, [...path, key], required.includes(key)));
}

function rowsFor(key: string, schema: PageSchema, path: Path, isRequired: boolean): HTMLElement[] {
  const given = givenAt(path);
  if (schema.properties || typeof schema.additionalProperties === "object") {
    const rows = rowsOf(schema, path, schema.required ?? []);
    // The recipe's parts are sections of their own, not parts of one section.
    if (path.length === 1 && Object.values(schema.properties ?? {}).every((inner) => inner.properties)) return rows;
    const title = path.length > 1 && path[0] !== "render" ? `${words(path[0]!)}: ${words(key)}` : words(key);
    return rows.length ? [section(title, path, rows)] : [];
  }
  const { items } = schema;
  if (items?.properties) {
    const list = Array.isArray(given) ? given : [];
    return list.map((item, k) => {
      const named = (item as { points?: unknown[] } | null)?.points;
      const title = `${words(key).replace(/s$/, "")} ${k + 1}` +
        (Array.isArray(named) ? `: ${named.map(words).join(", ")}` : "");
      return section(title, [...path, k], rowsOf(items, [...path, k], items.required ?? []));
    });
  }
  if (schema.prefixItems?.every(isNumber)) {
    const axes = schema.prefixItems.length === 2 ? ["x", "y"] : schema.prefixItems.map((_, k) => String(k));
    return schema.prefixItems.map((inner, k) =>
      control(labelOf(key, axes[k]), inner, [...path, k], true, schema.description)
    );
  }
  return [control(labelOf(key), schema, path, isRequired)];
}

function section(title: string, path: Path, rows: readonly HTMLElement[]): HTMLElement {
  return make("details", { id: `section-${path.join("-")}` }, make("summary", {}, title, make("small")), ...rows);
}

const isNumber = ({ type }: PageSchema) => type === "number" || type === "integer";
const isColour = (schema: PageSchema | undefined) => schema?.pattern?.startsWith("^#") ?? false;

/** Parts of a control that depend on the kind of its value. */
export interface Field {
  readonly nodes: readonly HTMLElement[];
  show(value: unknown): void;
}

function control(
  name: string,
  schema: PageSchema,
  path: Path,
  isRequired: boolean,
  about: string | undefined = schema.description,
): HTMLElement {
  const id = `control-${path.join("-")}`;
  const field = fieldFor(schema, path, id, name);
  const reset = make(
    "button",
    { type: "button", class: "reset", title: "Take it out of the file: the default counts" },
    "↺",
  );
  reset.setAttribute("aria-label", `Take ${name} out of the file`);
  reset.addEventListener("click", () => set(path, null));
  const label = make("label", { for: id }, name);
  const row = make("div", { class: "control" }, label, ...isRequired ? [] : [reset], ...field.nodes);
  if (about) row.append(make("p", { class: "soft", id: `${id}-about` }, about));
  for (const node of row.querySelectorAll("input, select")) {
    if (about) node.setAttribute("aria-describedby", `${id}-about`);
  }
  controls.push({
    path,
    row,
    update() {
      const given = givenAt(path);
      row.classList.toggle("set", given !== undefined);
      reset.hidden = given === undefined;
      field.show(given ?? schema.default);
    },
  });
  return row;
}

function fieldFor(schema: PageSchema, path: Path, id: string, name: string): Field {
  if (schema.enum) return choiceField(schema.enum.map(String), path, id);
  if (isNumber(schema)) return numberField(schema, path, id, name);
  if (schema.type === "boolean") return boxField(path, id);
  if (isColour(schema)) return coloursField(schema, path, id, name);
  if (isColour(schema.items) || isColour(schema.prefixItems?.[0])) return coloursField(schema, path, id, name);
  if (path.at(-1) === "multiply_by") return factorField(path, id);
  return textField(schema, path, id);
}

/** The least step of a slider: a hundredth of its range, or less. */
export function stepOf({ type, minimum = 0, maximum = 1 }: PageSchema): number {
  return type === "integer" ? 1 : 10 ** Math.floor(Math.log10((maximum - minimum) / 100));
}

/** A slider with a field beside it. */
export function slider(
  { schema, id, name, input }: {
    readonly schema: PageSchema;
    readonly id: string;
    readonly name: string;
    readonly input: (value: number) => void;
  },
): Field {
  const { minimum = 0, maximum = 1 } = schema, step = stepOf(schema);
  const decimals = Math.max(0, -Math.round(Math.log10(step)));
  const range = { min: String(minimum), max: String(maximum) };
  const bar = make("input", { type: "range", id, ...range, step: String(step) });
  const exact = make("input", {
    type: "number",
    ...range,
    step: schema.type === "integer" ? "1" : "any",
    "aria-label": `${name}, exactly`,
  });
  bar.addEventListener("input", () => {
    exact.value = bar.value;
    input(Number(Number(bar.value).toFixed(decimals)));
  });
  exact.addEventListener("change", () => {
    if (exact.value !== "" && exact.checkValidity()) input(Number(exact.value));
    else exact.reportValidity();
  });
  return {
    nodes: [bar, exact],
    show(value) {
      const number = typeof value === "number" ? value : minimum;
      if (document.activeElement !== bar || Number(bar.value).toFixed(decimals) !== number.toFixed(decimals)) {
        bar.value = String(number);
      }
      if (document.activeElement !== exact) exact.value = String(number);
    },
  };
}

function numberField(schema: PageSchema, path: Path, id: string, name: string): Field {
  return slider({ schema, id, name, input: (value) => set(path, value) });
}

function choiceField(choices: readonly string[], path: Path, id: string): Field {
  const select = make("select", { id }, ...choices.map((choice) => make("option", { value: choice }, choice)));
  select.addEventListener("change", () => set(path, select.value));
  return { nodes: [select], show: (value) => void (select.value = String(value ?? "")) };
}

/** A choice among the random factors of an edit. */
function factorField(path: Path, id: string): Field {
  const select = make("select", { id });
  select.addEventListener("change", () => set(path, select.value || null));
  return {
    nodes: [select],
    show(value) {
      const random = givenAt(["random"]), names = typeof random === "object" && random ? Object.keys(random) : [];
      const listed = typeof value === "string" && !names.includes(value) ? [...names, value] : names;
      select.replaceChildren(
        make("option", { value: "" }, "nothing"),
        ...listed.map((name) => make("option", { value: name }, name)),
      );
      select.value = typeof value === "string" ? value : "";
    },
  };
}

function boxField(path: Path, id: string): Field {
  const box = make("input", { type: "checkbox", id });
  box.addEventListener("change", () => set(path, box.checked));
  return { nodes: [box], show: (value) => void (box.checked = value === true) };
}

/** A field for a text, or for a list of landmarks with commas. */
function textField(schema: PageSchema, path: Path, id: string): Field {
  const input = make("input", { type: "text", id, autocomplete: "off" });
  const isList = schema.type === "array";
  input.addEventListener("change", () => {
    if (!isList) return set(path, input.value === "" && schema.default === undefined ? null : input.value);
    const items = input.value.split(",").map((item) => item.trim()).filter(Boolean);
    set(path, items.map((item) => /^\d+$/.test(item) ? Number(item) : item));
  });
  return {
    nodes: [input],
    show(value) {
      if (document.activeElement !== input) input.value = Array.isArray(value) ? value.join(", ") : String(value ?? "");
    },
  };
}

/** A colour, or a list of colours. */
function coloursField(schema: PageSchema, path: Path, id: string, name: string): Field {
  const isList = schema.type === "array", most = schema.prefixItems?.length ?? schema.maxItems ?? 8;
  const place = make("div", { class: "colours" });
  const listNow = (): string[] => {
    const value = givenAt(path) ?? schema.default;
    return isList ? Array.isArray(value) ? value.map(String) : [] : [String(value)];
  };
  const setOne = (k: number, colour: string) => {
    if (!isList) return set(path, colour);
    // Where the file has no list the whole default goes into it.
    if (Array.isArray(givenAt(path))) set([...path, k], colour);
    else set(path, listNow().with(k, colour));
  };
  const field = (k: number) => {
    const input = make("input", { type: "color", "aria-label": isList ? `${name} ${k + 1}` : name });
    if (k === 0) input.id = id;
    input.addEventListener("input", () => setOne(k, input.value));
    return input;
  };
  const add = make("button", { type: "button", title: "Add a colour", "aria-label": `Add a colour to ${name}` }, "+");
  add.addEventListener("click", () => {
    const list = listNow(), colour = list.at(-1) ?? "#808080";
    if (Array.isArray(givenAt(path))) set([...path, list.length], colour);
    else set(path, [...list, colour]);
  });
  const less = make("button", {
    type: "button",
    title: "Take the last colour out",
    "aria-label": `Take a colour out of ${name}`,
  }, "−");
  less.addEventListener("click", () => {
    const list = listNow();
    if (list.length === 1) set(path, null);
    else set([...path, list.length - 1], null);
  });
  return {
    nodes: [place],
    show() {
      const list = listNow(), inputs = [...place.querySelectorAll<HTMLInputElement>("input")];
      if (inputs.length !== list.length || !place.hasChildNodes()) {
        inputs.splice(0, Infinity, ...list.map((_, k) => field(k)));
        place.replaceChildren(...inputs, ...isList && !schema.prefixItems ? [add, less] : []);
      }
      inputs.forEach((input, k) => {
        const colour = list[k]!.toLowerCase();
        if (/^#[0-9a-f]{6}$/.test(colour) && input.value !== colour) input.value = colour;
        input.title = list[k]!;
      });
      add.disabled = list.length >= most;
      less.disabled = list.length === 0;
    },
  };
}
