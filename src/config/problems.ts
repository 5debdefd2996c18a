/** What is wrong with a config: every problem with its place, thrown together as one error. */
import { AppError } from '../errors.ts';

/** Where in the text; line and column count from 1, and line 0 is the file as a whole. */
export type Place = { readonly file: string; readonly line: number; readonly column: number };

export type ConfigProblem = Place & {
  /** Such as `services.web.bind`; '' where it is the file as a whole. */
  readonly path: string;
  /** What is wrong; what is allowed; did you mean …? */
  readonly message: string;
};

type Found = {
  /** To watch for the mended version. */
  readonly files: readonly string[];
  /** Where a Myelin that runs with an earlier version is asked, as far as this one tells. */
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
    // Only of the config itself can it be said that it is not there, or empty: an included file has a place in it.
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

/** ` did you mean "bind"?` for the candidate that is nearest to `name`, or nothing where none is near. */
export function didYouMean(name: string, candidates: readonly string[]): string {
  const wanted = plain(name);
  const [nearest] = candidates
    .map((candidate) => ({ candidate, distance: editDistance(wanted, plain(candidate)) }))
    .filter(
      ({ candidate, distance }) => distance <= Math.max(1, Math.floor(Math.min(name.length, candidate.length) / 3)),
    )
    .sort((a, b) => a.distance - b.distance);
  return nearest === undefined ? '' : `; did you mean ${JSON.stringify(nearest.candidate)}?`;
}

function formatProblem({ file, line, column, path, message }: ConfigProblem): string {
  return `${file}${line === 0 ? '' : `:${line}:${column}`}: ${path === '' ? '' : `${path}: `}${message}`;
}

/** As one reads: files in the order in which they were met, each from top to bottom. */
function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  return problems.toSorted(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  );
}

/** Other ways to write the same name do not count as distance: `on_empty`, `on-empty`, `onEmpty`. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, '');
}

/** Letters to insert, delete, replace or swap with their neighbour to make `b` of `a`. */
function editDistance(a: string, b: string): number {
  let previous: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + cost,
          isSwap ? (previous[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    previous = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
