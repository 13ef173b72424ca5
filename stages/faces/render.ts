/**
 * Draws the embedded world: parametric heads in styles, with exact landmarks.
 *
 * @module
 */
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import type { Image } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { PicturePool } from "../../faces/data/pool.ts";
import { contactSheet } from "../../faces/draw.ts";
import { loadStyle } from "../../faces/render/styles.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { stage } from "../../runtime/stage.ts";
import { Drawing } from "./_drawing.ts";
import { options } from "./_options.ts";
import { chosenStyles, filesOf, imageCount } from "./_styles.ts";

const SHEET_IMAGES = 96;

/** `faces/render`: the data that the built-in pipelines start from. */
export const renderStage = stage({
  id: "faces/render",
  doc: "Draws faces with exact landmarks: parametric heads, as photographs and in styles.",
  version: 7,
  inputs: {},
  output: "dataset",
  options,
  files: filesOf,
  async check(given) {
    await Promise.all(filesOf(given).map(loadStyle)); // a wrong one is found here
    const styles = chosenStyles(given).length;
    return [
      styles === 0 && { option: "split", reason: `${given.styles_dir} has no style of it` },
    ];
  },
  describeOutput: ({ size_px }) => ({ size_px }),
  cost: (given) => ({ images: imageCount(given) }),
  async shard(ctx, _inputs, given, { index, count }) {
    const drawing = await Drawing.open(ctx, given);
    const mine = drawing.chunks.filter((_, k) => k % count === index);
    const total = mine.reduce((sum, { indices }) => sum + indices.length, 0);
    let done = 0;
    for (const chunk of mine) {
      ctx.signal.throwIfAborted();
      if (!drawing.isKept(chunk)) await drawing.keep(chunk, await drawing.draw(chunk));
      ctx.progress(done += chunk.indices.length, total, { style: chunk.style.name });
    }
  },
  async run(ctx, _inputs, given) {
    const { size_px } = given;
    const drawing = await Drawing.open(ctx, given);
    const { chunks, total, styles } = drawing;
    using pool = new PicturePool(total * size_px ** 2);
    const writer = await DatasetWriter.create(ctx.dir, SCHEMAS.ibug68, { encoder: pool });
    // The GPU draws while the images before are written.
    let written: Promise<unknown> = Promise.resolve();
    const sheet: Image[] = [];
    const onSheet = Math.max(1, Math.floor(SHEET_IMAGES / styles));
    for (const chunk of chunks) {
      ctx.signal.throwIfAborted();
      const faces = drawing.isKept(chunk) ? await drawing.read(chunk) : await drawing.draw(chunk);
      await written;
      written = Promise.all(faces.map(({ image, landmarks }, i) => {
        if (chunk.first + i < onSheet) sheet.push(image);
        return writer.add(image, { ...drawing.recordOf(chunk, i), landmarks });
      }));
      written.catch(() => {}); // a failure is thrown where it is awaited
      ctx.progress(writer.count, total, { style: chunk.style.name });
    }
    await written;
    await writer.close();
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet, Math.min(12, Math.max(onSheet, 4))));
    ctx.summary({ images: total, styles, people: drawing.identities });
  },
});
