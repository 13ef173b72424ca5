/**
 * The page on which styles and edits are written, as `correct` serves it.
 *
 * @module
 */
import { counted } from "../formats/numbers.ts";
import { NoAdapterError } from "../engine/device.ts";
import { LazyDevice } from "./_device.ts";
import { HOST, newToken, serveUntilStopped } from "./_local_server.ts";
import { RecipeFaces } from "./_recipe_faces.ts";
import type { findRecipes } from "./_recipe_files.ts";
import { RecipeServer } from "./_recipe_server.ts";
import { type Context, flagOf, UsageError } from "./command.ts";

/** Options of `correct` that apply to faces only. */
const OF_FACES = [
  "format",
  "annotations",
  "schema",
  "origin",
  "review",
  "compare",
  "save",
  "size",
  "adapt",
  "set",
  "undoAll",
] as const;

/** Options of `correct`. */
export type ServeOptions =
  & { readonly port: number; readonly gpu?: string | undefined }
  & Readonly<Partial<Record<typeof OF_FACES[number], unknown>>>;

/**
 * Serves the page until Ctrl-C.
 *
 * @param found The folder, and the file to begin with.
 * @throws {UsageError} If an option applies to faces only, or the port is in use.
 */
export async function serveRecipes(
  { folder, file }: NonNullable<Awaited<ReturnType<typeof findRecipes>>>,
  options: ServeOptions,
  context: Context,
): Promise<void> {
  const other = OF_FACES.find((name) => options[name] !== undefined);
  if (other) {
    throw new UsageError(
      `Cannot use ${flagOf(other)} with ${folder.dir}: it has styles and edits, and no faces to correct`,
    );
  }
  await using device = new LazyDevice(options.gpu, context.note);
  const { faces, reason } = await openFaces(device);
  await using _ = faces;
  if (reason) context.note(`note: there are no pictures: ${reason}`);
  const token = newToken();
  await serveUntilStopped(
    new RecipeServer({ folder, file, faces, reason, token }),
    options.port,
    (port) =>
      context.print(
        `http://${HOST}:${port}/${token}/ has the styles and edits of ${folder.dir}, ` +
          `${counted(folder.list().length, "file")}; Ctrl-C stops`,
      ),
  );
}

async function openFaces(device: LazyDevice): Promise<{ faces?: RecipeFaces; reason?: string }> {
  try {
    return { faces: new RecipeFaces((await device.open()).gpu) };
  } catch (error) {
    if (!(error instanceof NoAdapterError)) throw error;
    return { reason: "there is neither a GPU nor a software driver" };
  }
}
