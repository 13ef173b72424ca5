/// <reference lib="dom" />
/**
 * The state of the page: the faces, the one that is open, and what is selected in it.
 *
 * @module
 */
import type { Feature } from "../../faces/features.ts";
import type { FaceDetails, FaceState, FaceSummary, FolderFaces, Point } from "./api.ts";
import type { Timer } from "./elements.ts";
import type { Drag, Mode } from "./gestures.ts";
import type { Stage } from "./stage.ts";

/** The face that is open. */
export interface Open {
  readonly index: number;
  readonly details: FaceDetails;
  state: FaceState;
  revision: number;
  undo: number;
  redo: number;
  /** Changes that the server has not noted. */
  waiting: number;
  /** State that the server has, as far as the page knows. */
  known: FaceState;
  /** State that is on its way to the server. */
  sent: FaceState | undefined;
  /** True if the server turned out to have another state than the one that waiting changes follow. */
  stale: boolean;
  readonly picture: Blob;
}

/** State of the page; `folder` and `stage` are set before anything else runs. */
class Editor {
  folder!: FolderFaces;
  stage!: Stage;
  features: readonly Feature[] = [];
  faces: FaceSummary[] = [];
  open: Open | undefined;
  /** The face that is on its way. */
  coming: number | undefined;
  /** Landmarks that a drag moves. */
  mode: Mode = "refit";
  /** Landmark that keys and tools are about. */
  selected: number | null = null;
  /** Landmark under the pointer. */
  hovered: number | null = null;
  drag: Drag | undefined;
  /** False while the landmarks are hidden. */
  visible = true;
  /** Moves by keys that are not sent yet. */
  keyed: Timer;
  /** Faces with changes that the server has not noted. */
  readonly waiting = new Set<Open>();
  /** Changes of whatever face that the server has not noted. */
  unsaved = 0;
}

/** The one state of the page. */
export const editor = new Editor();

/** Landmarks of the open face. */
export const pointsNow = (): readonly Point[] => editor.open?.state.landmarks ?? [];

/** The feature that a landmark is of. */
export function featureOf(p: number): Feature {
  return editor.features.find(({ points }) => points.includes(p))!;
}

/** The landmarks that a drag would move as one. */
export function boxed(): readonly number[] | null {
  if (editor.mode === "face") return [...pointsNow().keys()];
  return editor.mode === "feature" && editor.selected !== null ? featureOf(editor.selected).points : null;
}
