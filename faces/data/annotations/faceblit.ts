import { baseName, type ImageFormat } from "./format.ts";
import { parseNumbers } from "./text.ts";

/**
 * FaceBlit's styles: `style_NAME.png` with `lm_NAME.txt`, 68 lines of whole numbers.
 *
 * Source: AnetaTexler/FaceBlit, README.md, "Adding a new style".
 */
export const faceblit: ImageFormat = {
  name: "faceblit",
  doc: "FaceBlit's lm_NAME.txt beside style_NAME.png",
  perImage: true,
  accepts: (image) => baseName(image).startsWith("style_"),
  files: (image) => [image.replace(/style_([^/]*)\.[^./]*$/, "lm_$1.txt")],
  describe: (image) => ({ style: baseName(image).replace(/^style_|(_\d+x\d+)?\.[^.]*$/g, "") }),
  parse: parseNumbers,
};
