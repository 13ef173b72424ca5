/// <reference lib="dom" />
/**
 * State of the page: the open file, its text now, and how it is looked at.
 *
 * @module
 */
import type { DrawnEdit, OpenedRecipe, RecipeList, RecipeProblem } from "./api.ts";
import { History } from "./history.ts";

/** A file that was opened, with its changes. */
export interface Draft {
  /** The file as it is on the disk. */
  saved: OpenedRecipe;
  /** Its text now, and those before. */
  readonly history: History;
}

/** State of the page. */
export const state = {
  /** The folder. */
  list: undefined as unknown as RecipeList,
  /** The open file. */
  draft: undefined as unknown as Draft,
  /** All files that were opened, by name: their changes stay when another one is opened. */
  drafts: new Map<string, Draft>(),
  /** Values that the text gives; those of the last text that was YAML. */
  given: {} as unknown,
  /** Mistakes of the text. */
  problems: [] as readonly RecipeProblem[],
  /** Number of the person. */
  person: 19,
  /** Strength of an edit, and its random factors: undefined and missing are the greatest. */
  amount: undefined as number | undefined,
  draws: {} as Record<string, number>,
  /** Landmarks of the edit as they were drawn last. */
  edit: undefined as DrawnEdit | undefined,
};

/** The text of the open file now. */
export const textNow = () => state.draft.history.text;

/** True if a file has changes that are not saved. */
export const isChanged = ({ saved, history }: Draft) => history.text !== saved.text;

/** True if the open file is a style. */
export const isStyle = () => state.draft.saved.kind === "style";

/** Opens a file in the page, or goes back to its changes. */
export function takeFile(saved: OpenedRecipe): void {
  const known = state.drafts.get(saved.file);
  const draft = known ?? { saved, history: new History(saved.text) };
  state.drafts.set(saved.file, draft);
  Object.assign(state, { draft, given: {}, problems: [], amount: undefined, draws: {}, edit: undefined });
}

/** The value at a path of what the text gives; undefined where it gives none. */
export function givenAt(path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((at, key) => {
    const inside = typeof at === "object" && at !== null && Object.hasOwn(at, key);
    return inside ? (at as Record<string | number, unknown>)[key] : undefined;
  }, state.given);
}
