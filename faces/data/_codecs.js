// @ts-self-types="./_codecs.d.ts"
/**
 * imagescript's WebAssembly modules, compiled but not instantiated. JavaScript, as TypeScript 6.0 cannot parse imports
 * of the source phase.
 */
import source jpeg from "imagescript/wasm/any/jpeg.wasm";
import source png from "imagescript/wasm/any/png.wasm";

export { jpeg, png };
