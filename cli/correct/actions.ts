/// <reference lib="dom" />
/**
 * The actions of the page, each with its keys.
 *
 * @module
 */
import { openAdapt } from "./adapt.ts";
import type { Point } from "./api.ts";
import { addInMiddle, findInPicture } from "./boxes.ts";
import { takeSide } from "./compare.ts";
import { editor, pointsNow } from "./editor.ts";
import { element } from "./elements.ts";
import { go, judge } from "./faces.ts";
import { step } from "./history.ts";
import { cycle, nextFeature, select } from "./selection.ts";
import { guess, mirror, reset, snap, toggle } from "./tools.ts";
import { render } from "./view.ts";

/** An action: its name on the button, its keys, and what it does. */
export interface Action {
  readonly id: string;
  readonly text: string;
  readonly keys: readonly string[];
  readonly doc: string;
  readonly group: "actions" | "verdicts" | "keys";
  /** False where the page has no such action; by default true. */
  has?(): boolean;
  act(): void;
}

const ALL: readonly Action[] = [
  {
    id: "undo",
    text: "Undo",
    keys: ["z", "Ctrl+z"],
    doc: "take the last change back",
    group: "actions",
    act: () => step("undo"),
  },
  {
    id: "redo",
    text: "Redo",
    keys: ["y", "Ctrl+y", "Ctrl+Z"],
    doc: "do it again",
    group: "actions",
    act: () => step("redo"),
  },
  {
    id: "guess",
    text: "Guess",
    keys: ["g"],
    doc: "the detector's landmarks; those placed by hand stay",
    group: "actions",
    act: () => void guess(),
  },
  {
    id: "take-a",
    text: "Take A",
    keys: ["q"],
    doc: "the landmarks of A, in the mode Feature those of one; those placed by hand stay",
    group: "actions",
    has: () => editor.folder.compare !== null,
    act: () => takeSide("a"),
  },
  {
    id: "take-b",
    text: "Take B",
    keys: ["w"],
    doc: "the landmarks of B, likewise",
    group: "actions",
    has: () => editor.folder.compare !== null,
    act: () => takeSide("b"),
  },
  {
    id: "add",
    text: "Add face",
    keys: ["i", "Insert"],
    doc: "a box in the middle of what is seen; the detector looks at it",
    group: "actions",
    has: () => editor.folder.adds,
    act: addInMiddle,
  },
  {
    id: "find",
    text: "Find faces",
    keys: ["l"],
    doc: "looks for faces of the picture that have no box yet",
    group: "actions",
    has: () => editor.folder.adds && editor.folder.guesses,
    act: () => void findInPicture(),
  },
  {
    id: "snap",
    text: "Snap",
    keys: ["s"],
    doc: "the contour onto the nearest edge",
    group: "actions",
    act: () => void snap(),
  },
  { id: "mirror", text: "Mirror", keys: ["m"], doc: "the feature from the other side", group: "actions", act: mirror },
  {
    id: "occluded",
    text: "Occluded",
    keys: ["o"],
    doc: "the landmark is hidden in the picture",
    group: "actions",
    act: () => toggle("occluded"),
  },
  {
    id: "pin",
    text: "By hand",
    keys: ["k"],
    doc: "the landmark stays when others move, or not",
    group: "actions",
    act: () => toggle("pinned"),
  },
  {
    id: "reset",
    text: "Original",
    keys: ["b"],
    doc: "the landmarks before any correction",
    group: "actions",
    act: reset,
  },
  {
    id: "hide",
    text: "Hide",
    keys: ["h"],
    doc: "hide or show the landmarks",
    group: "actions",
    act: () => {
      editor.visible = !editor.visible;
      render();
    },
  },
  {
    id: "fit",
    text: "Fit",
    keys: ["0"],
    doc: "the face fills the stage",
    group: "actions",
    act: () => editor.stage.frame(pointsNow()),
  },
  {
    id: "whole",
    text: "Whole",
    keys: ["9"],
    doc: "the whole picture",
    group: "keys",
    act: () => editor.stage.frameAll(),
  },
  { id: "in", text: "+", keys: ["+", "="], doc: "zoom in", group: "keys", act: () => editor.stage.zoom(1.25) },
  { id: "out", text: "-", keys: ["-"], doc: "zoom out", group: "keys", act: () => editor.stage.zoom(0.8) },
  { id: "point", text: "", keys: ["]"], doc: "next landmark", group: "keys", act: () => cycle(1) },
  { id: "point-before", text: "", keys: ["["], doc: "previous landmark", group: "keys", act: () => cycle(-1) },
  { id: "feature", text: "", keys: ["f"], doc: "next feature", group: "keys", act: nextFeature },
  { id: "nothing", text: "", keys: ["Escape"], doc: "no landmark is selected", group: "keys", act: () => select(null) },
  {
    id: "previous",
    text: "Previous",
    keys: ["p", "PageUp"],
    doc: "previous face",
    group: "verdicts",
    act: () => go(-1),
  },
  { id: "next", text: "Next", keys: ["n", "PageDown"], doc: "next face", group: "verdicts", act: () => go(1) },
  {
    id: "reject",
    text: "Reject",
    keys: ["x", "Delete"],
    doc: "leave the face out, go on",
    group: "verdicts",
    act: () => judge("rejected"),
  },
  {
    id: "accept",
    text: "Accept",
    keys: ["a", "Enter"],
    doc: "the face is right, go on",
    group: "verdicts",
    act: () => judge("accepted"),
  },
  { id: "adapt", text: "", keys: ["d"], doc: "adapt the detector", group: "keys", act: openAdapt },
  {
    id: "help",
    text: "",
    keys: ["?"],
    doc: "these keys",
    group: "keys",
    act: () => element<HTMLDialogElement>("help").showModal(),
  },
];

/** Those that the page has, in the order of their buttons. */
export const actions = (): Action[] => ALL.filter(({ has = () => true }) => has());

/** Moves of the arrow keys. */
export const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
