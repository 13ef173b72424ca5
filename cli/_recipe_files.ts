/**
 * Folders of styles and edits: their files, what is wrong with a text, and saving with the old ones kept.
 *
 * @module
 */
import { parseEdit } from "../faces/edit_file.ts";
import type { Edit } from "../faces/edits.ts";
import { parseStyle, type Style, WILD } from "../faces/render/styles.ts";
import { writeError } from "../formats/disk_error.ts";
import { exists, fileNames, isFolder, readingSync, readText, writeAtomic } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { decodeText } from "../formats/text.ts";
import { setYaml } from "../formats/yaml_edit.ts";
import { getIn, lineOf, parseYaml, PipelineError } from "../formats/yaml_tree.ts";
import { UsageError } from "./command.ts";
import { Refusal } from "./_local_server.ts";

/** A style or an edit; the key of a file's name in it. */
export type RecipeKind = "style" | "edit";

/** A file of a folder. */
export interface RecipeFile {
  /** Name of the file, with `.yaml`. */
  readonly file: string;
  /** Its kind. */
  readonly kind: RecipeKind;
}

/** An earlier text of a file. */
export interface RecipeVersion {
  /** Number of the version, from 1; the greatest is the youngest. */
  readonly number: number;
  /** Time at which it was replaced, milliseconds since 1970. */
  readonly replaced: number;
}

/** A file with its text. */
export interface OpenedRecipe extends RecipeFile {
  /** Its text, with `\n` at the ends of lines. */
  readonly text: string;
  /** Earlier texts, the youngest first. */
  readonly versions: readonly RecipeVersion[];
}

/** A mistake in a text. */
export interface RecipeProblem {
  /** Line, from 1. */
  readonly line: number;
  /** Column, from 1. */
  readonly column: number;
  /** The mistake. */
  readonly message: string;
  /** Next step. */
  readonly hint?: string | undefined;
}

/** A text that was read: what it says, or what is wrong with it. */
export type ReadRecipe = { readonly style: Style } | { readonly edit: Edit } | {
  readonly problems: readonly RecipeProblem[];
};

/** A text to save. */
export interface NewText {
  /** The file that it was made from. */
  readonly file: string;
  /** The text. */
  readonly text: string;
  /** Text of the file when it was opened. */
  readonly was: string;
  /** Name of a new file, without `.yaml`; by default the file gets the text, and the old one is kept. */
  readonly as?: string | undefined;
}

/** Mistakes that are named, of a text that has more. */
const MOST_PROBLEMS = 100;
/** Largest file that is looked at, bytes. */
const MOST_BYTES = 1 << 20;
const YAML_FILE = /\.ya?ml$/;

/**
 * Finds styles and edits at a path.
 *
 * @param path A folder of style or edit files, or one of them.
 * @returns The folder, and the file if it is one; undefined if there are none.
 * @throws {UsageError} If it is a YAML file of something else.
 */
export async function findRecipes(path: string): Promise<{ folder: RecipeFolder; file?: string } | undefined> {
  if (!exists(path)) return undefined;
  if (await isFolder(path)) {
    const folder = new RecipeFolder(path);
    return folder.list().length ? { folder } : undefined;
  }
  if (!YAML_FILE.test(path)) return undefined;
  const [, dir = ".", file = path] = /^(.*)[/\\]([^/\\]+)$/.exec(path) ?? [];
  const folder = new RecipeFolder(dir || "/");
  if (!folder.list().some((one) => one.file === file)) {
    throw new UsageError(`Cannot edit ${path}: it has neither a key "style" nor a key "edit", as styles and edits do`);
  }
  return { folder, file };
}

/** A folder of styles and edits. */
export class RecipeFolder {
  /** Takes the folder. */
  constructor(readonly dir: string) {}

  /** The styles and edits in it, by name. */
  list(): RecipeFile[] {
    return fileNames(this.dir).filter((name) => YAML_FILE.test(name)).flatMap((file) => {
      const kind = this.#kindOf(file);
      return kind ? [{ file, kind }] : [];
    });
  }

  /**
   * Opens a file.
   *
   * @throws {Refusal} If there is no such style or edit.
   */
  open(file: string): OpenedRecipe {
    const { kind } = this.#find(file);
    return { file, kind, text: unixLines(this.#text(file)), versions: this.#versions(file) };
  }

  /**
   * An earlier text of a file.
   *
   * @throws {Refusal} If there is no such file or version.
   */
  async version(file: string, number: number): Promise<string> {
    if (!this.#versions(this.#find(file).file).some((version) => version.number === number)) {
      throw new Refusal(404, "There is no such version");
    }
    return unixLines(await readText(this.#keptPath(file, number)));
  }

  /**
   * Saves a text in its file, whose old text is kept as `FILE.old1` and so on, or in a new file.
   *
   * @returns The file that has the text now.
   * @throws {Refusal} If the text is wrong, the file was changed by others, or the new name is taken or no name.
   */
  save({ file, text, was, as }: NewText): OpenedRecipe {
    // A text can be saved as a new file even where the one that it was made from is gone.
    const kind = as === undefined ? this.#find(file).kind : kindIn(text);
    if (!kind) throw new Refusal(422, 'the text has neither a key "style" nor a key "edit"');
    const current = as === undefined ? this.#text(file) : "";
    if (as === undefined && unixLines(current) !== was) {
      throw new Refusal(
        409,
        `${file} was changed by another program or window: save under another name, or open it again`,
      );
    }
    const target = as === undefined ? file : this.#newFile(as, kind);
    const named = as === undefined ? text : setYaml(text, [kind], kind === "style" ? as.replaceAll("_", " ") : as);
    const read = readRecipe(kind, named, target);
    if ("problems" in read) {
      const [{ line, message }] = read.problems as [RecipeProblem];
      throw new Refusal(422, `line ${line}: ${message}`);
    }
    if (as === undefined) {
      if (named === was) return this.open(file);
      this.#keep(file);
    }
    writeAtomic(`${this.dir}/${target}`, current.includes("\r\n") ? named.replaceAll("\n", "\r\n") : named);
    return this.open(target);
  }

  #newFile(name: string, kind: RecipeKind): string {
    if (!/^[a-z][a-z0-9_]{0,59}$/.test(name)) {
      throw new Refusal(422, "a name has small letters, digits and _, and begins with a letter");
    }
    if (kind === "style" && name === WILD) throw new Refusal(422, `${WILD} is the style that has no file`);
    if (fileNames(this.dir).some((file) => file.replace(YAML_FILE, "") === name)) {
      throw new Refusal(422, `there is a ${name} already: choose another name`);
    }
    return `${name}.yaml`;
  }

  /** Kind of a file; undefined if it is neither, as a YAML file of something else, or one that cannot be read. */
  #kindOf(file: string): RecipeKind | undefined {
    try {
      const { size } = Deno.statSync(`${this.dir}/${file}`);
      return size <= MOST_BYTES ? kindIn(this.#text(file)) : undefined;
    } catch (error) {
      if (error instanceof InputError || error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  #find(file: string): RecipeFile {
    const found = this.list().find((one) => one.file === file);
    if (!found) throw new Refusal(404, `There is no style or edit ${file}`);
    return found;
  }

  #text(file: string): string {
    const path = `${this.dir}/${file}`;
    return decodeText(readingSync(path, () => Deno.readFileSync(path)), path);
  }

  #versions(file: string): RecipeVersion[] {
    return fileNames(this.dir).filter((name) => name.startsWith(`${file}.old`))
      .map((name) => name.slice(`${file}.old`.length)).filter((digits) => /^[1-9]\d{0,8}$/.test(digits))
      .map(Number).sort((a, b) => b - a)
      .map((number) => ({
        number,
        replaced: readingSync(file, () => Deno.statSync(this.#keptPath(file, number)).mtime?.getTime() ?? 0),
      }));
  }

  #keptPath(file: string, number: number): string {
    return `${this.dir}/${file}.old${number}`;
  }

  #keep(file: string): void {
    const to = this.#keptPath(file, 1 + (this.#versions(file)[0]?.number ?? 0));
    try {
      Deno.writeFileSync(to, Deno.readFileSync(`${this.dir}/${file}`), { createNew: true });
    } catch (error) {
      throw writeError(error, to);
    }
  }
}

/** Kind of a text, by its keys. */
const kindIn = (text: string) => /^(style|edit)[ \t]*:/m.exec(text)?.[1] as RecipeKind | undefined;

const unixLines = (text: string) => text.replaceAll("\r\n", "\n");

/**
 * Reads the text of a style or an edit.
 *
 * @param file Its file's name; an edit is named as its file.
 */
export function readRecipe(kind: RecipeKind, text: string, file: string): ReadRecipe {
  try {
    if (kind === "style") return { style: parseStyle(text, file) };
    const edit = parseEdit(text, file), name = file.replace(YAML_FILE, "");
    if (edit.name === name) return { edit };
    const at = getIn(parseYaml({ name: file, text }, []) ?? undefined, ["edit"])!.at;
    const message = `Cannot use ${file} as its edit is named "${edit.name}"`;
    return { problems: [{ ...lineOf(at), message, hint: `write edit: ${name}` }] };
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    return {
      problems: error.problems.map(({ at, message, hint }) => ({ ...lineOf(at), message, hint }))
        .sort((a, b) => a.line - b.line || a.column - b.column).slice(0, MOST_PROBLEMS),
    };
  }
}
