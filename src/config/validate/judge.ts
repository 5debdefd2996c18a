/** Decides for each part of the written config whether it is valid, and reports what is not, with its place. */
import type { z } from 'zod';
import { formatPath, type Path, type Place, type Report } from '../problems.ts';
import type { Inserted } from '../read/mask.ts';
import { isRecord, type Mark, markAt } from '../read/tree.ts';
import { secretsIn } from './shape.ts';
import { validate } from './validate.ts';

type Secrets = {
  readonly inserted: ReadonlyMap<string, Inserted>;
  /** Gets every value that a schema calls secret, as it was written and as the schema parses it. */
  readonly note: (secret: string) => void;
};

export class Judge {
  readonly #root: Mark;
  readonly #report: Report;
  readonly #secrets: Secrets;
  readonly #refused: string[] = [];

  constructor(root: Mark, report: Report, secrets: Secrets = { inserted: new Map(), note: () => {} }) {
    this.#root = root;
    this.#report = report;
    this.#secrets = secrets;
  }

  /**
   * The parsed value at `path`. Where the value is not valid: the parsed rest,
   * without the keys at fault, so that further checks find further problems; undefined where nothing is left.
   */
  part<S extends z.ZodType>(schema: S, path: Path, value: unknown): z.output<S> | undefined {
    const mark = markAt(this.#root, path);
    this.#noteSecrets(schema, value);
    const verdict = validate(schema, value, mark);
    if ('output' in verdict) {
      this.#noteSecrets(schema, verdict.output);
      return verdict.output;
    }
    for (const { path: inner, message, isKey } of verdict.problems) {
      const whole = [...path, ...inner];
      this.#refused.push(formatPath(whole));
      this.#report(this.#placeOf(whole, isKey), whole, message);
    }
    const sound = verdict.problems.reduce((rest, problem) => withoutKey(rest, problem.path), value);
    const second = validate(schema, sound, mark);
    return 'output' in second ? second.output : undefined;
  }

  #noteSecrets(schema: z.ZodType, value: unknown): void {
    const { inserted, note } = this.#secrets;
    for (const secret of secretsIn(schema, value, inserted)) note(secret);
  }

  report(path: Path, message: string): void {
    this.#report(this.#placeOf(path, false), path, message);
  }

  /** Whether the config sets `path`, rather than leaving it to its default. */
  isWritten(path: Path): boolean {
    return markAt(this.#root, path) !== undefined;
  }

  /** Whether the value at `path`, or a part of it, is not valid: later checks then ignore it. */
  isRefused(path: Path): boolean {
    const text = formatPath(path);
    return this.#refused.some((refused) => refused.startsWith(text));
  }

  /** `services.web.bind (myelin.yaml:5:11)` */
  describe(path: Path): string {
    const mark = markAt(this.#root, path);
    if (mark === undefined) return `${formatPath(path)} (its default)`;
    const { file, line, column } = mark.value;
    return `${formatPath(path)} (${file}:${line}:${column})`;
  }

  /** The path of an item of a value that may be a list or a single item. */
  pathOfItem(list: Path, index: number): Path {
    return markAt(this.#root, list)?.children.has(index) ? [...list, index] : list;
  }

  /** The place of `path` in the text, or of the innermost part around it that was written. */
  #placeOf(path: Path, isKey: boolean): Place {
    const mark = markAt(this.#root, path);
    if (mark !== undefined) return isKey ? mark.key : mark.value;
    return this.#placeOf(path.slice(0, -1), true);
  }
}

/** Removes the innermost key on the way to `path`; a list with a faulty item is removed as a whole. */
function withoutKey(value: unknown, [key, ...rest]: Path): unknown {
  if (!isRecord(value) || key === undefined || !Object.hasOwn(value, key)) return value;
  const { [key]: inner, ...others } = value;
  return isRecord(inner) && rest.length > 0 ? { ...others, [key]: withoutKey(inner, rest) } : others;
}
