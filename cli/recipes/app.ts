/// <reference lib="dom" />
/**
 * The page on which styles and edits are written: controls and text beside rendered faces.
 *
 * @module
 */
import { counted } from "../../formats/numbers.ts";
import { checked, element, say, status } from "../correct/elements.ts";
import { type Change, draw, type Drawn, listFiles, ServerError } from "./api.ts";
import { filterControls, make, showControls, slider } from "./controls.ts";
import {
  attempt,
  keepChanges,
  lookAgain,
  markFiles,
  open,
  saveFile,
  showFiles,
  showVersions,
  takeVersion,
} from "./files.ts";
import { dimPictures, listenToLandmarks, showEdit, showOther, showOthers, showParts, showPicture } from "./pictures.ts";
import { changeText, changeValue, dropChanges, pullLandmark, receive, redraw } from "./redraw.ts";
import { givenAt, isChanged, isStyle, state, textNow } from "./state.ts";
import { listenToText, showProblems, showText } from "./text.ts";

const setValue = (path: Change["path"], value: Change["value"]) => {
  showSaved(false);
  changeValue({ path, value });
};

/** Shows a file that was opened. */
function showFile(): void {
  const { file, kind } = state.draft.saved, name = file.replace(/\.ya?ml$/, "").replaceAll("_", " ");
  dropChanges();
  element("title").textContent = name;
  document.title = `${name} - ${kind} - Facewright`;
  element<HTMLInputElement>("show-was").checked = false;
  showVersions();
  showText(textNow());
  showFacts();
  element("tries").replaceChildren();
  redraw();
}

/** Shows what is undone, saved and wrong. */
function showFacts(): void {
  const { draft, problems } = state, { history } = draft, changed = isChanged(draft);
  element<HTMLButtonElement>("undo").disabled = !history.canUndo;
  element<HTMLButtonElement>("redo").disabled = !history.canRedo;
  element<HTMLButtonElement>("save").disabled = !changed || problems.length > 0;
  element<HTMLButtonElement>("save-as").disabled = problems.length > 0;
  const count = counted(problems.length, "mistake");
  status(problems.length ? count : changed ? "Not saved" : "Saved", problems.length > 0);
  element("tab-text").classList.toggle("wrong", problems.length > 0);
  markFiles();
  keepChanges();
}

function showDrawn({ given, problems, picture, edit, unseen }: Drawn): void {
  if (given !== null) state.given = given;
  state.problems = problems;
  if (edit) state.edit = edit;
  showText(textNow(), document.activeElement?.id !== "text");
  showProblems(problems);
  showControls(state.list.schemas[state.draft.saved.kind], setValue);
  showTries();
  showParts(isStyle(), state.list.reason === "" && unseen === undefined);
  showOthers(choosePerson);
  dimPictures(problems.length > 0);
  if (picture !== undefined) showPicture(picture);
  if (edit) showEdit(edit);
  const doc = givenAt(["doc"]), spoiled = edit?.spoiled;
  element("doc").textContent = typeof doc === "string" ? doc : "";
  const { reason } = state.list;
  const note = (reason && `There are no pictures: ${reason}.`) || unseen ||
    (spoiled ? `On this face ${spoiled}: a pipeline would try half the amount.` : "");
  element("note").textContent = note;
  element<HTMLElement>("note").hidden = note === "";
  showFacts();
}

/** Sliders of the strength of an edit and of its random factors, in the ranges that the file gives. */
function showTries(): void {
  const place = element<HTMLElement>("tries");
  place.hidden = isStyle();
  if (isStyle()) return;
  const random = givenAt(["random"]);
  const ranges = [
    ["amount", givenAt(["amount"])] as const,
    ...Object.entries(typeof random === "object" && random ? random : {}),
  ].flatMap(([name, range]) => {
    const { min, max } = (range ?? {}) as { min?: unknown; max?: unknown };
    const isRange = typeof min === "number" && typeof max === "number" && -1 <= min && min < max && max <= 1;
    return isRange ? [{ name, min, max }] : [];
  });
  const shape = JSON.stringify([state.draft.saved.file, ranges]);
  if (place.dataset["shape"] === shape && place.childElementCount) return;
  place.dataset["shape"] = shape;
  const rows = ranges.map(({ name, min, max }) => {
    const isAmount = name === "amount", id = `try-${name}`;
    const field = slider({
      schema: { type: "number", minimum: min, maximum: max },
      id,
      name,
      input(value) {
        if (isAmount) state.amount = value;
        else state.draws[name] = value;
        redraw();
      },
    });
    const now = Math.min(Math.max((isAmount ? state.amount : state.draws[name]) ?? max, min), max);
    if (isAmount) state.amount = now;
    else state.draws[name] = now;
    field.show(now);
    return make("div", { class: "control" }, make("label", { for: id }, name.replaceAll("_", " ")), ...field.nodes);
  });
  place.replaceChildren(make("h2", {}, "Strength here ", make("small", { class: "soft" }, "not in the file")), ...rows);
}

function choosePerson(person: number): void {
  state.person = Math.min(Math.max(Math.round(person) || 0, 0), 9999);
  element<HTMLInputElement>("person").value = String(state.person);
  redraw();
}

/** Shows the style as it is on the disk, or as it is here; or the landmarks without the edit. */
function showSaved(is: boolean): void {
  element<HTMLInputElement>("show-was").checked = is;
  if (!isStyle()) return void (state.edit && showEdit(state.edit));
  if (!is) return;
  const { saved } = state.draft, { person } = state;
  void attempt(async () => {
    const { picture } = await draw({
      file: saved.file,
      kind: saved.kind,
      text: saved.text,
      changes: [],
      person,
      size_px: 256,
      draws: {},
      pictured: true,
    });
    if (checked("show-was") && state.draft.saved === saved && picture !== undefined) showPicture(picture);
  });
}

function step(direction: "undo" | "redo"): void {
  state.draft.history.step(direction);
  redraw();
}

async function saveAs(): Promise<void> {
  const error = element("name-error");
  error.textContent = "";
  try {
    await saveFile(element<HTMLInputElement>("name").value);
    element<HTMLDialogElement>("name-dialog").close();
  } catch (caught) {
    if (!(caught instanceof ServerError)) throw caught;
    error.textContent = caught.message;
  }
}

function openNameDialog(): void {
  element<HTMLInputElement>("name").value = `${state.draft.saved.file.replace(/\.ya?ml$/, "")}_2`;
  element("name-error").textContent = "";
  element<HTMLDialogElement>("name-dialog").showModal();
  element<HTMLInputElement>("name").select();
}

function showTab(tab: "controls" | "text"): void {
  for (const one of ["controls", "text"]) {
    element(`tab-${one}`).setAttribute("aria-selected", String(one === tab));
    element(`${one}-panel`).classList.toggle("shown", one === tab);
  }
}

function onKey(event: KeyboardEvent): void {
  const { key, ctrlKey, metaKey, shiftKey } = event, target = event.target as HTMLElement;
  if (document.querySelector("dialog[open]")) return;
  if (ctrlKey || metaKey) {
    const act = {
      s: () => state.draft && isChanged(state.draft) && void attempt(() => saveFile()),
      z: () => step(shiftKey ? "redo" : "undo"),
      y: () => step("redo"),
    }[key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  } else if (!/^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || (target as HTMLInputElement).type === "range") {
    if (key === ",") choosePerson(state.person - 1);
    if (key === ".") choosePerson(state.person + 1);
  }
}

function listenToPage(): void {
  addEventListener("keydown", onKey);
  const on = (id: string, act: () => void, type = "click") => element(id).addEventListener(type, act);
  on("undo", () => step("undo"));
  on("redo", () => step("redo"));
  on("save", () => void attempt(() => saveFile()));
  on("save-as", openNameDialog);
  on("versions", () => void takeVersion(), "change");
  on("name-cancel", () => element<HTMLDialogElement>("name-dialog").close());
  element("name-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void saveAs();
  });
  on("person-back", () => choosePerson(state.person - 1));
  on("person-on", () => choosePerson(state.person + 1));
  on("person", () => choosePerson(Number(element<HTMLInputElement>("person").value)), "change");
  on("show-was", () => checked("show-was") || !isStyle() ? showSaved(checked("show-was")) : redraw(), "change");
  on("find", filterControls, "input");
  on("only-set", filterControls, "change");
  on("tab-controls", () => showTab("controls"));
  on("tab-text", () => showTab("text"));
  on("toggle-list", () => openList(!element("list").classList.contains("open")));
  on("files", () => openList(false));
  listenToLandmarks(pullLandmark);
  listenToText((text) => {
    changeText(text);
    showFacts();
  });
  addEventListener("focus", () => void lookAgain());
  addEventListener("beforeunload", (event) => {
    if ([...state.drafts.values()].some(isChanged)) event.preventDefault();
  });
}

function openList(is: boolean): void {
  element("list").classList.toggle("open", is);
  element("toggle-list").setAttribute("aria-expanded", String(is));
}

/** Starts the page. */
async function start(): Promise<void> {
  state.list = await listFiles();
  receive({
    drawn: showDrawn,
    picture(picture, person) {
      if (person !== state.person) showOther(picture, person);
      else if (!checked("show-was")) showPicture(picture);
    },
    busy: (is) => element("pictures").setAttribute("aria-busy", String(is)),
    failed(message) {
      say(message);
      showControls(state.list.schemas[state.draft.saved.kind], setValue);
    },
  });
  showTab("controls");
  listenToPage();
  showFiles(showFile);
  const { files, first } = state.list, asked = decodeURIComponent(location.hash.slice(1));
  await open(files.some(({ file }) => file === asked) ? asked : first ?? files[0]!.file);
}

start().catch((error) => {
  element("title").textContent = "The page could not be opened";
  status(error instanceof Error ? error.message : String(error), true);
});
