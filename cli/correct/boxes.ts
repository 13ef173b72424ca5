/// <reference lib="dom" />
/**
 * Boxes of the faces of a whole picture: moved, resized, taken away, and drawn around faces that nobody found.
 *
 * @module
 */
import { counted } from "../../formats/numbers.ts";
import { addFace, type Box, type FaceSummary, findFaces, type Point, ServerError } from "./api.ts";
import { editor, type Open, pointsNow } from "./editor.ts";
import { say, status } from "./elements.ts";
import { arrange, show, takeSummary } from "./faces.ts";
import { commitLater, flushKeys } from "./history.ts";
import { boxOf, stretch } from "./shapes.ts";
import type { StageBox } from "./stage_boxes.ts";

/** Smallest side of a box, pixels of the picture; of one that is drawn, pixels of the screen. */
const LEAST_PX = 4, LEAST_DRAWN_PX = 8;
/** Side of a box that a key adds, as a share of the stage's. */
const KEY_SHARE = 0.3;

/** True while the open picture has no face, or the open one was taken away again. */
export const isAbsent = () => editor.open !== undefined && editor.faces[editor.open.index]!.absent;

/** The boxes of the open picture; that of the open face is around some landmarks. */
export function boxesNow(points: readonly Point[]): StageBox[] {
  const { open } = editor;
  if (!open || !editor.folder.adds) return [];
  const { file_name } = editor.faces[open.index]!;
  return editor.faces.filter((face) => face.file_name === file_name && !face.absent).map((face) => {
    const isOpen = face.index === open.index, { x, y, w, h } = boxOf(points, [...points.keys()]);
    const facts = [String(face.face), face.score === null ? "" : face.score.toFixed(2)];
    return {
      index: face.index,
      box: isOpen ? [x, y, w, h] : face.box,
      // One that was taken away often lies below the one that took its place.
      label: face.verdict === "rejected" && !isOpen ? "" : facts.filter(Boolean).join(" · "),
      name: [`face ${face.face}`, face.score === null ? "" : `score ${face.score.toFixed(2)}`, face.verdict ?? ""]
        .filter(Boolean).join(", "),
      verdict: face.verdict,
      open: isOpen,
    };
  });
}

/** The box between two corners. */
export function boxBetween([ax, ay]: Point, [bx, by]: Point): Box {
  return [Math.min(ax, bx), Math.min(ay, by), Math.abs(bx - ax), Math.abs(by - ay)];
}

/** Landmarks stretched with their box when a corner of it is moved, 0 for left or top, 1 for right or bottom. */
export function resized(points: readonly Point[], [right, down]: Point, [dx, dy]: Point): Point[] {
  const { x, y, w, h } = boxOf(points, [...points.keys()]);
  const wide = Math.max(LEAST_PX, right ? w + dx : w - dx), high = Math.max(LEAST_PX, down ? h + dy : h - dy);
  return stretch(points, [right ? x : x + w - wide, down ? y : y + h - high, wide, high]);
}

/** Adds a face where a box was drawn; one that is hardly larger than a press is none. */
export async function addBox(box: Box): Promise<void> {
  const { open } = editor, least = LEAST_DRAWN_PX / editor.stage.scale;
  if (!open || box[2] < least || box[3] < least) return;
  flushKeys();
  status(editor.folder.guesses ? "The detector looks at the face" : "Saving");
  const sides = [Math.max(LEAST_PX, box[2]), Math.max(LEAST_PX, box[3])] as const;
  await added(open, async (file_name) => [await addFace(file_name, [box[0], box[1], ...sides])]);
}

/** Adds faces to the open picture, and opens the first of them; returns how many. */
async function added(open: Open, add: (file_name: string) => Promise<readonly FaceSummary[]>): Promise<number> {
  // An open picture without a face becomes the face that is added: the server's event about it is of this window.
  open.waiting++;
  try {
    const faces = await add(editor.faces[open.index]!.file_name), [first] = faces;
    for (const face of faces) takeSummary(face);
    await arrange();
    status("Saved");
    if (first && open === editor.open) await show(first.index);
    return faces.length;
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    status("Not saved", true);
    say(error.message);
    return NaN;
  } finally {
    open.waiting--;
  }
}

/** Has the finder look for the faces of the picture that are not there yet. */
export async function findInPicture(): Promise<void> {
  const { open } = editor;
  if (!open) return;
  if (!editor.folder.guesses) return say(`Nothing can be found: ${editor.folder.reason}`);
  flushKeys();
  status("Looks for faces");
  const count = await added(open, findFaces);
  if (count === 0) say("No other face was found: draw a box around one in the mode Boxes (6).");
  else if (count) say(`${counted(count, "face")} added.`);
}

/** Adds a face in the middle of what is seen. */
export function addInMiddle(): void {
  const [left, top, width, height] = editor.stage.seen(), side = KEY_SHARE * Math.min(width, height);
  void addBox([left + (width - side) / 2, top + (height - side) / 2, side, side]);
}

/** Moves the box by keys, or its right and bottom sides; false where there is none. */
export function nudgeBox(by: Point, resize: boolean): boolean {
  if (!editor.open || isAbsent()) return false;
  const points = pointsNow();
  commitLater({
    landmarks: resize ? resized(points, [1, 1], by) : points.map(([x, y]): Point => [x + by[0], y + by[1]]),
  });
  return true;
}
