/// <reference lib="dom" />
/**
 * The server of the page, as the page sees it.
 *
 * @module
 */
import { asking } from "../correct/asking.ts";
import type { Contour, Dots } from "../../faces/schema.ts";
import type { JsonSchema } from "../../formats/schema_describe.ts";
import type { OpenedRecipe, RecipeFile, RecipeKind, RecipeProblem, RecipeVersion } from "../_recipe_files.ts";

export { ServerError } from "../correct/asking.ts";
export type { OpenedRecipe, RecipeFile, RecipeKind, RecipeProblem, RecipeVersion };

/** Schema of a file, or of a value in it. */
export type PageSchema = JsonSchema;

/** The files of the folder. */
export interface RecipeList {
  /** The folder. */
  readonly dir: string;
  /** Its styles and edits, by name. */
  readonly files: readonly RecipeFile[];
  /** The file to begin with. */
  readonly first: string | null;
  /** Schemas of the two kinds of files. */
  readonly schemas: Readonly<Record<RecipeKind, PageSchema>>;
  /** Lines of the schemas of landmarks, by name. */
  readonly landmarks: Readonly<
    Record<string, { readonly contours: readonly Contour[]; readonly dots: readonly Dots[] }>
  >;
  /** Reason for which there are no pictures; empty if there are. */
  readonly reason: string;
}

/** A landmark, pixels. */
export type Point = readonly [x: number, y: number];

/** Landmarks of a face with an edit. */
export interface DrawnEdit {
  /** Name of the schema. */
  readonly schema: string;
  /** Side of the picture that they are in. */
  readonly size_px: number;
  /** `[P][2]`, without the edit. */
  readonly before: readonly Point[];
  /** `[P][2]`, with it. */
  readonly after: readonly Point[];
  /** The condition image of the landmarks, an address of its data. */
  readonly condition: string;
  /** Defect that makes a pipeline draw the edit again with half its amount; null where there is none. */
  readonly spoiled: string | null;
}

/** A text that was read and drawn. */
export interface Drawn {
  /** The text with the changes. */
  readonly text: string;
  /** The values that the text gives, without defaults; null where it is no YAML. */
  readonly given: unknown;
  /** Mistakes; there is a picture if there are none. */
  readonly problems: readonly RecipeProblem[];
  /** The picture, an address of its data. */
  readonly picture?: string;
  /** Landmarks, of an edit. */
  readonly edit?: DrawnEdit;
  /** Reason for which the edit is not seen on a face. */
  readonly unseen?: string;
}

/** A value that is set, or taken out with null. */
export interface Change {
  /** Keys and indices. */
  readonly path: readonly (string | number)[];
  /** The value. */
  readonly value: string | number | boolean | readonly (string | number | boolean)[] | null;
}

/** A text to draw. */
export interface DrawRequest extends RecipeFile {
  /** The text. */
  readonly text: string;
  /** Changes of it, in order. */
  readonly changes: readonly Change[];
  /** A landmark that is dragged to a place of the edit's picture, pixels. */
  readonly pull?: { readonly point: number; readonly to: Point } | undefined;
  /** Number of the person. */
  readonly person: number;
  /** Side of the picture of a style. */
  readonly size_px: number;
  /** Strength of an edit; by default the greatest that it may have. */
  readonly amount?: number | undefined;
  /** Values of the random factors of an edit; by default the greatest. */
  readonly draws: Readonly<Record<string, number>>;
  /** True if the picture of an edit's face is wanted. */
  readonly pictured: boolean;
}

const { ask, post } = asking("The server has stopped: start deno task correct again, and copy the text of this page");

/** Lists the files. */
export async function listFiles(): Promise<RecipeList> {
  return await (await ask("files")).json();
}

/** Opens a file. */
export async function openFile(file: string): Promise<OpenedRecipe> {
  return await (await ask(`file/${encodeURIComponent(file)}`)).json();
}

/** An earlier text of a file. */
export async function versionOf(file: string, number: number): Promise<string> {
  return await (await ask(`version/${encodeURIComponent(file)}/${number}`)).text();
}

/** Changes, reads and draws a text. */
export async function draw(request: DrawRequest): Promise<Drawn> {
  return await post("draw", request);
}

/** Saves a text in its file, or in a new one. */
export async function save(file: string, text: string, was: string, as?: string): Promise<OpenedRecipe> {
  return await post("save", { file, text, was, ...(as !== undefined && { as }) });
}
