/// <reference lib="dom" />
/**
 * The list of files, opening and saving.
 *
 * @module
 */
import { element, say, status } from "../correct/elements.ts";
import { listFiles, type OpenedRecipe, openFile, save, ServerError, versionOf } from "./api.ts";
import { make } from "./controls.ts";
import { changeText, settled } from "./redraw.ts";
import { isChanged, state, takeFile, textNow } from "./state.ts";

let opened: () => void, saves = 0;

/** Lists the files. */
export function showFiles(onOpen: () => void): void {
  opened = onOpen;
  const { files, reason } = state.list;
  element("files").replaceChildren(...files.map(({ file, kind }) => {
    const name = file.replace(/\.ya?ml$/, "");
    const image = make("img", { src: `thumb/${encodeURIComponent(file)}?${saves}`, alt: "", loading: "lazy" });
    image.width = image.height = 64;
    const button = make("button", { type: "button", class: "file", "data-file": file });
    button.append(
      ...reason ? [] : [image],
      make("span", {}, make("b", {}, name.replaceAll("_", " ")), make("small", {}, kind)),
    );
    button.addEventListener("click", () => void open(file));
    return make("li", {}, button);
  }));
  markFiles();
}

/** Shows which file is open, and which have changes. */
export function markFiles(): void {
  for (const button of document.querySelectorAll<HTMLElement>(".file")) {
    const draft = state.drafts.get(button.dataset["file"]!);
    button.setAttribute("aria-current", String(draft === state.draft));
    button.classList.toggle("changed", draft !== undefined && isChanged(draft));
  }
}

/** Name under which the browser keeps the changes of a file that are not saved. */
const keptName = (file: string) => `facewright ${state.list.dir}/${file}`;

/** Changes that the browser keeps. */
interface Kept {
  readonly text: string;
  /** Text of the file that they were made from. */
  readonly was: string;
}

/** Keeps the changes of the open file in the browser, so that none is lost with the page. */
export function keepChanges(): void {
  const { draft } = state, name = keptName(draft.saved.file);
  try {
    const kept: Kept = { text: draft.history.text, was: draft.saved.text };
    if (isChanged(draft)) localStorage.setItem(name, JSON.stringify(kept));
    else localStorage.removeItem(name);
  } catch { /* its place is full: the page asks before it is closed */ }
}

/** Brings changes back that were kept when the page was closed. */
function bringBack(): void {
  const { draft } = state, kept = localStorage.getItem(keptName(draft.saved.file));
  if (kept === null || draft.history.canUndo) return;
  const { text, was } = JSON.parse(kept) as Kept, isForeign = was !== draft.saved.text;
  if (text === draft.saved.text) return;
  draft.history.add(was, "opened");
  changeText(text, "kept");
  if (!isForeign) return say("Changes that were not saved are here again; Undo takes them back.");
  draft.saved = { ...draft.saved, text: was }; // saving over what another program wrote is refused
  say(
    `Changes that were not saved are here again. ${draft.saved.file} was changed since: save them under another name.`,
  );
}

/** Opens a file; the changes of the one before stay. */
export async function open(file: string): Promise<void> {
  await attempt(async () => {
    if (state.draft) await settled();
    const read = await openFile(file);
    takeFile(read);
    noteForeign(read);
    bringBack();
    location.replace(`#${encodeURIComponent(file)}`);
    opened();
    document.querySelector(`.file[aria-current="true"]`)?.scrollIntoView({ block: "nearest" });
  });
}

/** Takes what another program wrote, unless there are changes here. */
function noteForeign(read: OpenedRecipe): void {
  const { draft } = state;
  if (read.text === draft.saved.text) {
    draft.saved = read;
    return;
  }
  if (isChanged(draft)) {
    return say(`${read.file} was changed by another program. Save these changes under another name.`);
  }
  draft.saved = read;
  changeText(read.text, "opened");
  say(`${read.file} was changed by another program, and opened again.`);
}

/** Looks whether the files were changed while the page was not looked at. */
export async function lookAgain(): Promise<void> {
  await attempt(async () => {
    const { draft } = state, read = await openFile(draft.saved.file);
    if (state.draft === draft && read.text !== draft.saved.text) noteForeign(read);
    const list = await listFiles();
    if (JSON.stringify(list.files) !== JSON.stringify(state.list.files)) {
      state.list = list;
      showFiles(opened);
    }
  });
}

/** Saves the open file, or its text as a new file. */
export async function saveFile(as?: string): Promise<void> {
  await settled();
  const { draft } = state, { saved } = draft;
  if (state.problems.length) throw new ServerError(422, "The text has mistakes");
  const written = await saving(() => save(saved.file, textNow(), saved.text, as));
  saves++;
  if (as === undefined) {
    draft.saved = written;
    say(`Saved; the text before is among the earlier versions.`);
  } else {
    // The changes are in the new file; the old one is as it was.
    draft.history.add(saved.text, "opened");
    takeFile(written);
    say(`Saved as ${written.file}.`);
    location.replace(`#${encodeURIComponent(written.file)}`);
  }
  state.list = await listFiles();
  showFiles(opened);
  opened();
}

let isSaving = false;

/** Saves once at a time. */
async function saving<T>(act: () => Promise<T>): Promise<T> {
  if (isSaving) throw new ServerError(409, "It is being saved");
  isSaving = true;
  try {
    return await act();
  } finally {
    isSaving = false;
  }
}

/** Lists the earlier versions of the open file. */
export function showVersions(): void {
  const { saved } = state.draft, select = element<HTMLSelectElement>("versions");
  select.hidden = saved.versions.length === 0;
  select.replaceChildren(
    make("option", { value: "" }, "Earlier versions"),
    ...saved.versions.map(({ number, replaced }) =>
      make("option", { value: String(number) }, `until ${new Date(replaced).toLocaleString()}`)
    ),
  );
}

/** Puts an earlier version in the place of the text; saving makes it the file's. */
export async function takeVersion(): Promise<void> {
  const select = element<HTMLSelectElement>("versions"), number = Number(select.value);
  select.value = "";
  await attempt(async () => {
    changeText(await versionOf(state.draft.saved.file, number), "version");
    say("The earlier text is here; Save makes it the file's again.");
  });
}

/** Runs what asks the server; an error of it becomes a message. */
export async function attempt(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    if (error.status === 0) status(error.message, true);
    else say(error.message);
  }
}
