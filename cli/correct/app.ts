/// <reference lib="dom" />
/**
 * The page of `correct`: faces in the order of doubt, and the landmarks of one of them.
 *
 * @module
 */
import { featuresOf } from "../../faces/features.ts";
import { buildAdapt, loadAdapt, receiveAdapt } from "./adapt.ts";
import { listen, listFaces, ServerError } from "./api.ts";
import { buildComparison } from "./compare.ts";
import { hear, lose } from "./connection.ts";
import { editor } from "./editor.ts";
import { element, status } from "./elements.ts";
import { arrange, show, showFirst, showProgress, takeSummary } from "./faces.ts";
import { dragTo, drop, grab } from "./gestures.ts";
import { flushKeys, receive } from "./history.ts";
import { onKey } from "./keyboard.ts";
import { hover, select } from "./selection.ts";
import { Stage } from "./stage.ts";
import { buildTools, closeDrawers, DRAWERS } from "./toolbar.ts";
import { drawMap, render } from "./view.ts";

function listenToPage(): void {
  addEventListener("keydown", onKey);
  addEventListener("keyup", ({ key }) => {
    if (key === " ") editor.stage.panning = false;
  });
  element("stage").addEventListener("focusin", (event) => {
    const p = (event.target as Element).getAttribute("data-point");
    if (p !== null && editor.selected !== Number(p)) select(Number(p));
  });
  element("stage").addEventListener("pointerdown", () => closeDrawers());
  element("faces").addEventListener("click", ({ target }) => (target as Element).closest("button") && closeDrawers());
  for (const id of ["order", "filter"]) element(id).addEventListener("change", () => void arrange());
  for (const id of ["show-before", "show-found", "show-doubt", "show-loupe"]) {
    element(id).addEventListener("change", render);
  }
  const reach = element<HTMLInputElement>("reach");
  reach.addEventListener("input", () => element("reach-value").textContent = `${reach.value} %`);
  element("help-open").addEventListener("click", () => element<HTMLDialogElement>("help").showModal());
  for (const [button, drawer] of Object.entries(DRAWERS)) {
    element(button).addEventListener("click", () => closeDrawers(drawer));
  }
  addEventListener("beforeunload", (event) => {
    flushKeys();
    if (editor.unsaved) event.preventDefault();
  });
}

/** Goes on with a server that is there, or there again. */
async function goOn(): Promise<void> {
  try {
    const wasAway = await hear();
    if (!editor.unsaved) status("Saved");
    if (wasAway) await loadAdapt();
  } catch (error) {
    if (error instanceof ServerError) return; // it is away again, and will be heard of
    throw error;
  }
}

/** Starts the page. */
async function start(): Promise<void> {
  const folder = await listFaces(), { schema } = folder;
  const stage = new Stage(element("stage"), element("loupe"), schema, {
    grab,
    drag: dragTo,
    drop,
    hover,
    press: (index) => void show(index),
  });
  Object.assign(editor, { folder, stage, faces: [...folder.faces], features: featuresOf(schema) });
  drawMap({ hover, select: (p) => select(p, true) });
  if (!folder.adds) element("filter").querySelector('[value="empty"]')!.remove();
  buildTools();
  buildComparison();
  buildAdapt();
  listenToPage();
  listen({
    change(event) {
      takeSummary(event.summary);
      const open = editor.open && editor.faces[editor.open.index];
      if (open?.file_name === event.summary.file_name && !editor.drag) render();
      receive(event);
    },
    adapt: receiveAdapt,
    connected(how) {
      if (how === "open") void goOn();
      else lose(how === "moved");
    },
  });
  await arrange();
  showProgress();
  document.title = `${folder.dir.replace(/^.*[\\/](?=.)/, "")} - Correct landmarks`;
  await Promise.all([showFirst(), loadAdapt()]);
}

start().catch((error) => {
  element("title").textContent = "The page could not be opened";
  status(error instanceof Error ? error.message : String(error), true);
});
