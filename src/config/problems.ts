/** What is wrong with a config: every problem with its place, thrown together as one error. */
import { AppError } from '../errors.ts';

/** Where in the text; line and column count from 1, and line 0 is the file as a whole. */
export type Place = { readonly file: string; readonly line: number; readonly column: number };

export type ConfigProblem = Place & {
  /** Such as `services.web.bind`; '' for the file as a whole. */
  readonly path: string;
  /** What is wrong; what is allowed; did you mean …? */
  readonly message: string;
};

type Found = {
  /** To watch, so that the corrected version is noticed. */
  readonly files: readonly string[];
  /** The control socket of a Myelin that runs with an earlier version, as far as this config says. */
  readonly socket: string;
};

/** All problems of a config at once. */
export class ConfigError extends AppError implements Found {
  readonly problems: readonly ConfigProblem[];
  readonly files: readonly string[];
  readonly socket: string;

  constructor(problems: readonly ConfigProblem[], { files, socket }: Found) {
    const ordered = inOrder(problems);
    const lines = ordered.map(formatProblem);
    const text = lines.length === 1 ? lines.join() : [`${lines.length} problems in the config:`, ...lines].join('\n');
    // Only the main config can be missing or empty as a whole: for an included file, the `include` line is the place.
    super('MYELIN_CONFIG_INVALID', text, ordered.some(({ line }) => line === 0) ? { remedy: howToStart } : {});
    this.problems = ordered;
    this.files = files;
    this.socket = socket;
  }
}

const howToStart = '`myelin init` writes a config to start from; `--config FILE` names another';

export type Path = readonly (string | number)[];

export type Report = (place: Place, path: Path, message: string) => void;

/** `services.web.bind[1]`; a key that is not a plain name stands in quotes. */
export function formatPath(path: Path): string {
  return path
    .map((part) => {
      if (typeof part === 'number') return `[${part}]`;
      return /^[\w:-]+$/.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`;
    })
    .join('')
    .replace(/^\./, '');
}

function formatProblem({ file, line, column, path, message }: ConfigProblem): string {
  return `${file}${line === 0 ? '' : `:${line}:${column}`}: ${path === '' ? '' : `${path}: `}${message}`;
}

/** In reading order: files in the order in which they were read, each from top to bottom. */
function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  return problems.toSorted(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  );
}
