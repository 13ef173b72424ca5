// @ts-self-types="./_codecs.d.ts"
/**
 * WebAssembly modules of imagescript (JPEG, PNG, GIF) and of libwebp, compiled but not instantiated. JavaScript,
 * as TypeScript 6.0 cannot parse imports of the source phase.
 */
import source jpeg from "imagescript/wasm/any/jpeg.wasm";
import source png from "imagescript/wasm/any/png.wasm";
import source gif from "imagescript/wasm/any/gif.wasm";
import source webp from "@jsquash/webp/codec/dec/webp_dec.wasm";
import webpFactory from "@jsquash/webp/codec/dec/webp_dec.js";

export { gif, jpeg, png };

/** Emscripten's start is synchronous when the module is compiled already. */
export function instantiateWebp() {
  const instance = {
    instantiateWasm(imports, started) {
      const created = new WebAssembly.Instance(webp, imports);
      started(created);
      return created.exports;
    },
  };
  webpFactory(instance);
  return instance;
}
