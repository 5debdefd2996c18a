/** Where the config has a text that stands in HAProxy's file, so that HAProxy's words about a line lead to it. */
import { formatPath, type Path } from '../problems.ts';
import { maskLines } from '../read/mask.ts';
import { isRecord, type Mark, type Tree } from '../read/tree.ts';

export type Written = {
  readonly text: string;
  /** Such as `services.web.backend[0]`. */
  readonly path: string;
  /** `myelin.yaml:7:5` */
  readonly place: string;
};

/** The keys whose texts are in HAProxy's own language; and `server.options`. */
const rawKeys: ReadonlySet<string | number> = new Set(
  'bind balance frontend backend lines global defaults sections'.split(' '),
);

/** Every text in HAProxy's own language, as it is after substitution. */
export function writtenIn({ value, mark }: Tree): readonly Written[] {
  const found: Written[] = [];
  visit(value, mark, [], false);
  return found;

  function visit(part: unknown, at: Mark | undefined, path: Path, isRaw: boolean): void {
    if (typeof part === 'string') {
      if (!isRaw || at === undefined) return;
      const { file, line, column } = at.value;
      const where = { path: formatPath(path), place: `${file}:${line}:${column}` };
      // Without passwords, as the lines are that HAProxy's words are about.
      for (const text of maskLines(part).split('\n'))
        if (text.trim() !== '') found.push({ text: text.trim(), ...where });
      return;
    }
    const parts = Array.isArray(part) ? [...part.entries()] : isRecord(part) ? Object.entries(part) : [];
    for (const [key, inner] of parts as readonly (readonly [string | number, unknown])[])
      visit(inner, at?.children.get(key), [...path, key], isRaw || isRawKey(path, key));
  }
}

function isRawKey(path: Path, key: string | number): boolean {
  // The names of services, frontends and watchers are no keys; routes and queries have no lines.
  if (path.length === 0 || (path.length === 1 && path[0] !== 'haproxy')) return false;
  if (path.includes('routes') || path.includes('from')) return false;
  return key === 'options' ? path.at(-1) === 'server' : rawKeys.has(key);
}

/** Where the line of HAProxy's file comes from, preferably from its service; null: from a template alone. */
export function originOf(line: string, service: string | null, written: readonly Written[]): Written | null {
  const own = service === null ? null : `${formatPath(['services', service])}.`;
  const words = ` ${line.trim()} `;
  const fitting = written.filter(
    ({ text, path }) => words.includes(` ${text} `) && (own === null || path.startsWith(own)),
  );
  // The longest says most: `GET` may be a word of any line.
  const [longest] = fitting.sort((a, b) => b.text.length - a.text.length);
  if (longest !== undefined || service === null) return longest ?? null;
  return originOf(line, null, written);
}
