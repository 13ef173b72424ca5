/**
 * Styles that `faces/render` draws in: those of files, and `wild`.
 *
 * @module
 */
import { Random } from "../../engine/rng.ts";
import type { HeadParams } from "../../faces/render/render.ts";
import { loadStyle, type Style, styleFiles, WILD } from "../../faces/render/styles.ts";
import { stageShot } from "../../faces/render/wild/shot.ts";
import { drawWildStyle } from "../../faces/render/wild/style.ts";
import { type Options, poseOf } from "./_options.ts";

/** The styles that are asked for: paths of their files, or {@linkcode WILD}. */
export function chosenStyles({ styles, split, styles_dir }: Options): string[] {
  if (split) return styleFiles(styles_dir, split);
  return (styles ?? ["photo"]).map((name) => name === WILD ? WILD : `${styles_dir}/${name}.yaml`);
}

/** Files of the styles that wild recipes are drawn near to: all but those to test on. */
function anchorFiles({ styles_dir }: Options): string[] {
  const test = new Set(styleFiles(styles_dir, "test"));
  return styleFiles(styles_dir, "all").filter((path) => !test.has(path));
}

/** Files that the styles are read from. */
export function filesOf(given: Options): string[] {
  return [...new Set(chosenStyles(given).flatMap((path) => path === WILD ? anchorFiles(given) : [path]))];
}

/** A style to draw in: the same recipe for every image, or one for each. */
export interface DrawnStyle extends Pick<Style, "name" | "style" | "prompt"> {
  /** Recipe of image `index`, and the head as this style shows it. */
  recipe(head: HeadParams, index: number): { readonly head: HeadParams; readonly render: Style["render"] };
}

/** Reads the styles that are asked for. */
export async function loadChosen(given: Options, seed: number): Promise<DrawnStyle[]> {
  const random = new Random(seed, "faces/render.wild");
  const load = async (path: string): Promise<DrawnStyle> => {
    if (path !== WILD) {
      const style = await loadStyle(path);
      return { ...style, recipe: (head) => ({ head, render: style.render }) };
    }
    const anchors = (await Promise.all(anchorFiles(given).map(loadStyle))).map(({ render }) => render);
    return {
      name: WILD,
      style: WILD,
      prompt: "a portrait of {style} style",
      recipe({ person, shot }, index) {
        const draw = random.at(index);
        const render = drawWildStyle(draw, anchors);
        return { head: { person, shot: stageShot(shot, render, draw, poseOf(given)) }, render };
      },
    };
  };
  return await Promise.all(chosenStyles(given).map(load));
}

/** Images in all; one of `count` and `per_style` is given. */
export function imageCount(given: Options): number {
  return given.count ?? given.per_style! * chosenStyles(given).length;
}
