/// <reference lib="dom" />
/**
 * The way back to a server that was away: it may have been started anew, and have numbers of changes of its own.
 *
 * @module
 */
import { type FaceState, type FolderFaces, listFaces, openFace, ServerError } from "./api.ts";
import { editor, type Open } from "./editor.ts";
import { say, status } from "./elements.ts";
import { takeFaces } from "./faces.ts";
import { take } from "./history.ts";

/** Pixels by which the server rounds. */
const SAME_PX = 0.002;

let isAway = false, hasMoved = false;
/** True if the server's events were not heard since it was away. */
let missed = false;
let syncing: Promise<void> | undefined;

/** Notes that the server does not answer, or answers under another address. */
export function lose(moved = false): void {
  isAway = true;
  missed = true;
  hasMoved ||= moved;
  const why = hasMoved ? "the server has another address now, open the one that it printed" : "the server has stopped";
  status(editor.unsaved ? `Not saved: ${why}` : why[0]!.toUpperCase() + why.slice(1), true);
}

/** As {@linkcode reconnected}, once the server's events are heard again. */
export async function hear(): Promise<boolean> {
  // A change may have reached the server first: its events since then were missed.
  [isAway, missed] = [isAway || missed, false];
  return await reconnected();
}

/**
 * Resolves when the page has what the server has; at once, unless it was away.
 *
 * @returns True if it was away.
 * @throws {ServerError} If it is still away, with the status 0.
 */
export async function reconnected(): Promise<boolean> {
  if (!isAway) return false;
  await (syncing ??= sync().finally(() => syncing = undefined));
  return true;
}

async function sync(): Promise<void> {
  try {
    const folder = await listFaces();
    if (!isSame(folder)) return await leave();
    const faces = new Set(editor.waiting);
    if (editor.open) faces.add(editor.open);
    for (const face of faces) await syncFace(face);
    await takeFaces(folder.faces);
  } catch (error) {
    if (!(error instanceof ServerError) || error.status === 0) throw error;
    // Another secret: changes wait, as long as this window is open.
    lose(true);
    throw new ServerError(0, error.message);
  }
  [isAway, hasMoved] = [false, false];
}

/** True if the faces that the page knows have the same numbers. */
function isSame({ dir, schema, faces }: FolderFaces): boolean {
  return dir === editor.folder.dir && schema.name === editor.folder.schema.name &&
    editor.faces.every(({ file_name, face }, k) => faces[k]?.file_name === file_name && faces[k].face === face);
}

/** The folder has other faces now: what this window shows is of none of them. */
async function leave(): Promise<never> {
  const text = "The folder has other faces now: reload the page.";
  if (!editor.unsaved) location.reload();
  status(text, true);
  say(text);
  return await new Promise<never>(() => {});
}

/** Takes the number of a face's last change from the server; where another state is there, the changes that wait are refused. */
async function syncFace(face: Open): Promise<void> {
  const view = await openFace(face.index), { revision, undo, redo } = view;
  // The last change may have been noted though its answer was lost.
  if ([face.known, face.sent].some((state) => state && isSameState(state, view.state))) {
    Object.assign(face, { revision, undo, redo, known: view.state });
  } else if (face.waiting) face.stale = true;
  else take(face, view);
}

function isSameState(a: FaceState, b: FaceState): boolean {
  const marks = ({ occluded, pinned, verdict }: FaceState) => JSON.stringify([occluded, pinned, verdict]);
  return marks(a) === marks(b) && a.landmarks.every(([x, y], p) => {
    const [bx, by] = b.landmarks[p]!;
    return Math.abs(x - bx) <= SAME_PX && Math.abs(y - by) <= SAME_PX;
  });
}
