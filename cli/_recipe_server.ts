/**
 * The server of the page on which styles and edits are written beside rendered faces.
 *
 * The server reads and writes the styles and edits of one folder alone, which it finds by their names in the folder's list.
 *
 * @module
 */
import { z } from "zod";
import { encodePng } from "../faces/data/image_file.ts";
import type { Image } from "../faces/data/image.ts";
import { pointsOf } from "../faces/data/corrections.ts";
import { drawLandmarks } from "../faces/draw.ts";
import { editSchema } from "../faces/edit_file.ts";
import { applyEdit, type Edit, spoils } from "../faces/edits.ts";
import { styleSchema } from "../faces/render/styles.ts";
import { convertLandmarks, SCHEMAS } from "../faces/schema.ts";
import { jsonSchema } from "../formats/schema_describe.ts";
import { setYaml, type YamlValue } from "../formats/yaml_edit.ts";
import { parseYaml, toJS } from "../formats/yaml_tree.ts";
import { bodyAs, content, json, LocalServer, type PageFiles, Refusal } from "./_local_server.ts";
import type { RecipeFaces } from "./_recipe_faces.ts";
import { type OpenedRecipe, readRecipe, type RecipeFolder, type RecipeKind } from "./_recipe_files.ts";
import { pullLandmark } from "./_recipe_pull.ts";
import type { Drawn, DrawnEdit, RecipeList } from "./recipes/api.ts";

/** Side of the small pictures in the list, and of the picture of a face whose landmarks an edit moves. */
const THUMB_PX = 64, FACE_PX = 256;
/** Person of the small pictures. */
const THUMB_PERSON = 19;
const MOST_CHARACTERS = 100_000;

const PAGE: PageFiles = {
  html: "cli/recipes/index.html",
  styles: {
    "theme.css": "formats/theme.css",
    "base.css": "cli/correct/base.css",
    "style.css": "cli/recipes/style.css",
  },
  entry: "cli/recipes/app.ts",
};

/** The parts of a server. */
export interface RecipeOptions {
  /** The styles and edits. */
  readonly folder: RecipeFolder;
  /** The file that the page begins with; by default the first one. */
  readonly file?: string | undefined;
  /** Draws faces; without it there are no pictures, and `reason` says why. */
  readonly faces?: RecipeFaces | undefined;
  /** See `faces`. */
  readonly reason?: string | undefined;
  /** The secret that paths begin with. */
  readonly token: string;
}

type DrawRequest = z.output<typeof drawBody>;
type PullRequest = Pick<DrawRequest, "person" | "amount" | "draws"> & NonNullable<DrawRequest["pull"]>;

/** Answers requests, and leaves the network to its caller, so that tests need none. */
export class RecipeServer extends LocalServer {
  readonly #options: RecipeOptions;
  /** Small pictures by file, with the texts that they are of. */
  readonly #thumbs = new Map<string, { readonly text: string; readonly bytes: Uint8Array<ArrayBuffer> }>();

  /** Takes the folder. */
  constructor(options: RecipeOptions) {
    super({
      token: options.token,
      page: PAGE,
      read: (path) => this.#read(path),
      actions: {
        draw: async (body) => json(await this.#draw(bodyAs(drawBody, body))),
        save: (body) => json(options.folder.save(bodyAs(saveBody, body))),
      },
    });
    this.#options = options;
  }

  async #read(path: string): Promise<Response | undefined> {
    const { folder } = this.#options;
    if (path === "files") return json(this.#list());
    const [kind, name = "", number] = path.split("/");
    const file = decoded(name);
    if (kind === "file" && number === undefined) return json(folder.open(file));
    if (kind === "version" && /^[1-9]\d{0,8}$/.test(number ?? "")) {
      return content(await folder.version(file, Number(number)), "text/plain");
    }
    if (kind === "thumb" && number === undefined) return content(await this.#thumb(folder.open(file)), "image/png");
    return undefined;
  }

  #list(): RecipeList {
    const { folder, file, faces, reason } = this.#options;
    return {
      dir: folder.dir,
      files: folder.list(),
      first: file ?? null,
      schemas: { style: jsonSchema(styleSchema), edit: editSchema() },
      landmarks: Object.fromEntries(
        Object.values(SCHEMAS).map(({ name, contours, dots }) => [name, { contours, dots }]),
      ),
      reason: faces ? "" : reason ?? "",
    };
  }

  async #draw({ kind, file, text: before, changes, pull, ...look }: DrawRequest): Promise<Drawn> {
    const changed = changes.reduce(
      (text, { path, value }) => setYaml(text, path, value === null ? undefined : value as YamlValue),
      before,
    );
    const text = pull ? await this.#pull(changed, file, { ...pull, ...look }) : changed;
    if (text.length > MOST_CHARACTERS) throw new Refusal(413, "The text is too long");
    const read = readRecipe(kind, text, file), given = givenIn(text);
    if ("problems" in read) return { text, given, problems: read.problems };
    const { faces } = this.#options, drawn = { text, given, problems: [] };
    if (!faces) return drawn;
    if ("edit" in read) return { ...drawn, ...await drawEdit(faces, read.edit, look) };
    const { image } = await faces.draw(read.style.render, look.person, look.size_px);
    return { ...drawn, picture: pngUrl(image) };
  }

  /** The text of an edit after a landmark was dragged. */
  async #pull(text: string, file: string, { person, amount, draws: given, ...pull }: PullRequest): Promise<string> {
    const read = readRecipe("edit", text, file), { faces } = this.#options;
    if (!("edit" in read) || !faces) return text;
    const { edit } = read, { before } = await faceFor(faces, edit, person), draws = drawsOf(edit, given);
    return pullLandmark(text, edit, before, { ...pull, amount: amount ?? edit.amount.max, draws });
  }

  async #thumb({ file, kind, text }: OpenedRecipe): Promise<Uint8Array<ArrayBuffer>> {
    const { faces, reason } = this.#options;
    if (!faces) throw new Refusal(422, reason ?? "there is no GPU");
    const kept = this.#thumbs.get(file);
    if (kept?.text === text) return kept.bytes;
    const read = readRecipe(kind, text, file);
    if ("problems" in read) throw new Refusal(422, "it has mistakes");
    const image = "style" in read
      ? (await faces.draw(read.style.render, THUMB_PERSON, THUMB_PX)).image
      : (await editedFace(faces, read.edit, THUMB_PERSON, read.edit.amount.max, {})).draw(THUMB_PX);
    const bytes = encodePng(image);
    this.#thumbs.set(file, { text, bytes });
    return bytes;
  }
}

/** A rendered face with the landmarks that an edit moves. */
async function faceFor(faces: RecipeFaces, { schema }: Edit, person: number) {
  const { image, landmarks } = await faces.draw(undefined, person, FACE_PX);
  return { image, before: convertLandmarks(landmarks, SCHEMAS.ibug68, schema) };
}

/** Values of all random factors of an edit, by default the greatest. */
function drawsOf({ random }: Edit, given: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries([...random].map(([key, { max }]) => [key, given[key] ?? max]));
}

/** Landmarks of a rendered face with an edit. */
async function editedFace(
  faces: RecipeFaces,
  edit: Edit,
  person: number,
  amount: number,
  given: Readonly<Record<string, number>>,
) {
  const { image, before } = await faceFor(faces, edit, person);
  const after = applyEdit(before, edit, amount, drawsOf(edit, given));
  return {
    image,
    before,
    after,
    draw: (size_px: number): Image => drawLandmarks(after, edit.schema, size_px, FACE_PX),
  };
}

async function drawEdit(
  faces: RecipeFaces,
  edit: Edit,
  { person, amount, draws, pictured }: Pick<DrawRequest, "person" | "amount" | "draws" | "pictured">,
): Promise<Partial<Drawn>> {
  if (!SCHEMAS.ibug68.maps[edit.schema.name] && edit.schema !== SCHEMAS.ibug68) {
    return { unseen: `Rendered faces have the landmarks of ibug68, which contain no ${edit.schema.name}` };
  }
  const { image, before, after, draw } = await editedFace(faces, edit, person, amount ?? edit.amount.max, draws);
  const shown: DrawnEdit = {
    schema: edit.schema.name,
    size_px: FACE_PX,
    before: pointsOf(before),
    after: pointsOf(after),
    condition: pngUrl(draw(FACE_PX)),
    spoiled: spoils(before, after, edit.schema, FACE_PX) ?? null,
  };
  return { edit: shown, ...(pictured && { picture: pngUrl(image) }) };
}

const pngUrl = (image: Image) => `data:image/png;base64,${encodePng(image).toBase64()}`;

/** The values that a text gives, without defaults; null where it is no YAML. */
function givenIn(text: string): unknown {
  const tree = parseYaml({ name: "text", text }, []);
  return tree && toJS(tree);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Refusal(404, "Not found");
  }
}

const scalar = z.union([z.string().max(10_000), z.number(), z.boolean()]);
const text = z.string().max(MOST_CHARACTERS), file = z.string().max(255);
const pixel = z.number().min(-10_000).max(10_000);
const drawBody = z.strictObject({
  kind: z.enum(["style", "edit"]) satisfies z.ZodType<RecipeKind>,
  file,
  text,
  changes: z.array(z.strictObject({
    path: z.array(z.union([z.string().max(100), z.int().min(0).max(1000)])).min(1).max(8),
    value: z.union([scalar, z.array(scalar).max(200), z.null()]),
  })).max(100),
  pull: z.strictObject({ point: z.int().min(0).max(10_000), to: z.tuple([pixel, pixel]) }).optional(),
  person: z.int().min(0).max(999_999),
  size_px: z.int().min(16).max(256),
  amount: z.number().min(-1).max(1).optional(),
  draws: z.record(z.string().max(100), z.number().min(-1).max(1)),
  pictured: z.boolean(),
});
const saveBody = z.strictObject({
  file,
  text,
  was: z.string().max(10 * MOST_CHARACTERS),
  as: z.string().max(100).optional(),
});
