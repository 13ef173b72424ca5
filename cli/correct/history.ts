/// <reference lib="dom" />
/**
 * Changes of faces: sent one after the other, taken back, and received from other windows.
 *
 * @module
 */
import { type ChangeEvent, type FaceState, type FaceView, openFace, ServerError, setFace, stepFace } from "./api.ts";
import { lose, reconnected } from "./connection.ts";
import { editor, type Open } from "./editor.ts";
import { say, status } from "./elements.ts";
import { render } from "./view.ts";

/** Time after which moves by keys are one change, and after which a change is sent again. */
const KEYS_MS = 600, RETRY_MS = 2000;

let queue: Promise<void> = Promise.resolve();

/** Makes a change of the open face, shows it at once, and has it written. */
export function commit(change: Partial<FaceState>): void {
  if (!editor.open) return;
  const face = editor.open, state = { ...face.state, ...change };
  face.state = state;
  render();
  send(face, (revision) => setFace(face.index, state, revision), state);
}

/** Shows a move by keys; those that follow each other are one change. */
export function commitLater(change: Partial<FaceState>): void {
  if (!editor.open) return;
  clearTimeout(editor.keyed);
  editor.open.state = { ...editor.open.state, ...change };
  editor.keyed = setTimeout(flushKeys, KEYS_MS);
  status("Saving");
  render();
}

/** Has moves by keys written. */
export function flushKeys(): void {
  if (!editor.keyed) return;
  clearTimeout(editor.keyed);
  editor.keyed = undefined;
  commit({});
}

/** Takes a change back, or does it again. */
export function step(direction: "undo" | "redo"): void {
  flushKeys();
  if (!editor.open) return;
  const face = editor.open;
  send(face, (revision) => stepFace(face.index, direction, revision));
}

/** Sends changes one after the other, as each follows the revision of the one before. */
function send(face: Open, change: (revision: number) => Promise<FaceView>, state?: FaceState): void {
  face.waiting++;
  editor.unsaved++;
  editor.waiting.add(face);
  status("Saving");
  queue = queue.then(async () => {
    for (;;) {
      try {
        await reconnected();
        if (face.stale) throw new ServerError(409, "The face has another state");
        face.sent = state;
        const view = await change(face.revision);
        settle(face);
        take(face, view);
        if (!editor.unsaved) status("Saved");
        return;
      } catch (error) {
        if (!(error instanceof ServerError)) throw error;
        if (error.status !== 0) return await refuse(face, error);
        lose();
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  });
}

/** A change is no longer on its way. */
function settle(face: Open): void {
  face.sent = undefined;
  face.waiting--;
  editor.unsaved--;
  if (!face.waiting) editor.waiting.delete(face);
}

/** Takes the state that the server has. */
export function take(face: Open, { state, revision, undo, redo }: FaceView): void {
  Object.assign(face, { revision, undo, redo, known: state, stale: false });
  if (face.waiting === 0) face.state = state;
  if (face === editor.open && !editor.drag) render();
}

/** A change that the server refused: the page shows what the server has. */
async function refuse(face: Open, error: ServerError): Promise<void> {
  const view = await openFace(face.index).catch(() => undefined);
  settle(face);
  if (view) take(face, view);
  status(error.status === 409 ? "Saved" : "Not saved", error.status !== 409);
  say(
    error.status === 409
      ? "This face was changed in another window: its state is shown, and your last change was left out."
      : error.message,
  );
}

/** Takes a change that came from the server: of this window, which knows it, or of another one. */
export function receive({ summary, state, revision, undo, redo }: ChangeEvent): void {
  const { open } = editor;
  if (!state || revision === undefined || summary.index !== open?.index || open.waiting || revision <= open.revision) {
    return;
  }
  if (editor.drag?.grip.kind !== "new") editor.drag = undefined;
  take(open, { state, revision, undo: undo ?? 0, redo: redo ?? 0 });
  say("Changed in another window.");
}
