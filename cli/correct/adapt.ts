/// <reference lib="dom" />
/**
 * The dialog that fits the detector to the corrected faces: its start, its progress, and its results.
 *
 * @module
 */
import { counted } from "../../formats/numbers.ts";
import { type AdaptAct, adaptAct, type AdaptState, adaptState, nextFaces, ServerError } from "./api.ts";
import { editor } from "./editor.ts";
import { element } from "./elements.ts";
import { show } from "./faces.ts";

/** Faces that are offered to be corrected next. */
const NEXT = 6;

/** The datasets of adapt.yaml, in words. */
const MEASURED: Readonly<Record<string, string>> = {
  held_back: "your faces, held back from training",
  other: "pictures of the other folder",
  test_photos: "rendered photographs",
  test_styles: "rendered styles",
};

let state: AdaptState | undefined;

const isBusy = () => state?.status === "running" || state?.status === "saving";

/** Faces that are accepted or corrected, and not rejected. */
const usable = () =>
  editor.faces.filter(({ verdict, changed }) => verdict === "accepted" || changed && !verdict).length;

/** Builds the dialog, which can be opened before the state is there. */
export function buildAdapt(): void {
  element("adapt-open").addEventListener("click", openAdapt);
  for (const act of ["start", "cancel", "use"] as const) {
    element(`adapt-${act}`).addEventListener("click", () => void ask(act));
  }
  render();
  element<HTMLElement>("adapt-open").hidden = !editor.folder.adapts;
}

/** Asks for the state; the dialog says why there is none. */
export async function loadAdapt(): Promise<void> {
  if (!editor.folder.adapts) return;
  await attempt(async () => receiveAdapt(await adaptState()));
  if (!state) element("adapt-status").textContent = "";
}

/** Opens the dialog. */
export function openAdapt(): void {
  render();
  element<HTMLDialogElement>("adapt").showModal();
}

/** Takes a new state of the run. */
export function receiveAdapt(next: AdaptState): void {
  const wasDone = state?.status === "done";
  state = next;
  render();
  if (next.status === "done" && !wasDone) void offerNext();
}

/** Asks the server to act, and shows its answer. */
async function ask(act: AdaptAct): Promise<void> {
  const button = element<HTMLButtonElement>(`adapt-${act}`);
  button.disabled = true;
  await attempt(async () => {
    receiveAdapt(await adaptAct(act));
    if (act !== "use") return;
    note("Guess uses the adapted detector now, which also computes the doubts again.");
    void offerNext();
  });
  button.disabled = false;
  render();
}

/** Asks the server for something; the dialog says why it is refused. */
async function attempt(request: () => Promise<void>): Promise<void> {
  note("");
  try {
    await request();
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    note(error.message);
  }
}

function note(text: string): void {
  const line = element<HTMLElement>("adapt-problem");
  line.textContent = text;
  line.hidden = !text;
}

function render(): void {
  const faces = usable(), missing = Math.max(0, (state?.least ?? 0) - faces);
  element("adapt-faces").textContent = `${counted(faces, "face")} ${faces === 1 ? "is" : "are"} accepted or corrected` +
    (missing ? `; a fit needs at least ${state!.least}, so ${missing} more.` : ".");
  element("adapt-open").textContent = openText();
  element<HTMLElement>("adapt-cancel").hidden = !isBusy();
  element<HTMLElement>("adapt-start").hidden = isBusy();
  element<HTMLButtonElement>("adapt-start").disabled = !state || missing > 0;
  element<HTMLElement>("adapt-done").hidden = state?.status !== "done";
  element<HTMLElement>("adapt-use").hidden = !editor.folder.guesses || state?.status !== "done";
  element<HTMLElement>("adapt-same").hidden = !state;
  if (!state) return;
  const { status, message, stages } = state;
  element("adapt-status").textContent = STATUS[status] + (message ? ` ${message}` : "");
  element("adapt-status").classList.toggle("failed", status === "failed");
  element("adapt-start").textContent = status === "interrupted" || status === "killed" ? "Go on" : "Start";
  element("adapt-stages").replaceChildren(...(status === "done" ? [] : stages.map(stageRow)));
  element("adapt-results").replaceChildren(...resultRows(state));
  element("adapt-weights").textContent = state.weights;
  element("adapt-detect").textContent = `deno task detect PICTURES --out FOUND --detector ${state.weights} --flip`;
  element("adapt-report").textContent = state.report ?? "";
  element("adapt-command").textContent = state.command;
}

/** Text of the button that opens the dialog. */
function openText(): string {
  if (!state || !isBusy()) return "Adapt the detector";
  const done = state.stages.filter(({ status }) => status === "done" || status === "skipped").length;
  return state.stages.length ? `Adapting, ${done} of ${state.stages.length}` : "Adapting";
}

const STATUS: Readonly<Record<AdaptState["status"], string>> = {
  none: "",
  saving: "The faces are saved.",
  running: "The detector is being adapted. This page may be closed or used meanwhile.",
  done: "The detector is adapted.",
  failed: "It failed.",
  interrupted: "It was stopped; it can go on where it was.",
  killed: "Its process is gone; it can go on from the last checkpoint.",
};

/** A stage, its bar, and its figures. */
function stageRow({ stage, status, seconds, progress }: AdaptState["stages"][number]): HTMLElement {
  const item = document.createElement("li"), bar = document.createElement("progress");
  const isDone = status === "done" || status === "skipped";
  bar.max = 1;
  bar.value = isDone ? 1 : progress ? progress.done / Math.max(1, progress.total) : 0;
  const loss = progress?.fields["loss"];
  const left = progress?.done ? seconds / progress.done * (progress.total - progress.done) : 0;
  const facts = [
    isDone ? "done" : progress ? `${progress.done} of ${progress.total}` : status,
    ...typeof loss === "number" ? [`loss ${loss.toPrecision(3)}`] : [],
    ...left >= 60 ? [`${Math.round(left / 60)} min left`] : [],
  ];
  bar.setAttribute("aria-label", stage);
  item.append(cell("span", stage), bar, cell("span", facts.join(", ")));
  return item;
}

/** A row for each dataset: the error before and after. */
function resultRows({ results, detectors: [before, after] }: AdaptState): HTMLElement[] {
  const rows = results.flatMap((row) => {
    if (row["detector"] !== before) return [];
    const same = results.find((one) => one["detector"] === after && one["dataset"] === row["dataset"]);
    return same ? [{ name: String(row["dataset"]), before: row, after: same }] : [];
  });
  if (!rows.length) return [];
  const line = (tag: "th" | "td", texts: readonly string[]) => {
    const row = document.createElement("tr");
    row.append(...texts.map((text) => cell(tag, text)));
    return row;
  };
  return [
    line("th", ["measured on", "faces", "error before", "error after"]),
    ...rows.map(({ name, before, after }) => {
      const row = line("td", [MEASURED[name] ?? name, String(before["images"]), errorOf(before), errorOf(after)]);
      row.className = nmeOf(after) < nmeOf(before) ? "better" : "worse";
      return row;
    }),
  ];
}

type Row = AdaptState["results"][number];

const nmeOf = (row: Row) => Number(Object.entries(row).find(([key]) => /^nme_(?!low|high)/.test(key))?.[1]);

/** The error with its 95 % interval. */
function errorOf(row: Row): string {
  const [low, high] = [row["nme_low"], row["nme_high"]];
  return `${nmeOf(row).toFixed(2)} %` +
    (typeof low === "number" && typeof high === "number" ? ` (${low.toFixed(2)}, ${high.toFixed(2)})` : "");
}

function cell(tag: "th" | "td" | "span", text: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

/** Shows the faces whose correction would add most. */
async function offerNext(): Promise<void> {
  const order = await nextFaces().catch(() => []);
  const open = order.filter((k) => !editor.faces[k]!.verdict && !editor.faces[k]!.changed).slice(0, NEXT);
  element("adapt-next").replaceChildren(...open.map((k) => {
    const button = document.createElement("button"), image = document.createElement("img");
    Object.assign(button, { type: "button", title: editor.faces[k]!.file_name });
    Object.assign(image, { src: `thumb/${k}`, alt: editor.faces[k]!.file_name });
    button.append(image);
    button.addEventListener("click", () => {
      element<HTMLDialogElement>("adapt").close();
      void show(k);
    });
    return button;
  }));
  element<HTMLElement>("adapt-next-label").hidden = !open.length;
}
