/** Turns YAML into plain data, and remembers where every part was written. */
import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';
import type { Path, Place, Report } from '../problems.ts';
import type { Expansion } from './substitute.ts';

/** The place of one part of the data in the text. */
export type Mark = {
  /** Of the key in a map, or of the item in a list. */
  readonly key: Place;
  /** Of the value; of a map or list, the same as `key`. */
  readonly value: Place;
  /** Whether a part of the text came from the environment or from files. */
  readonly isSubstituted: boolean;
  readonly children: ReadonlyMap<string | number, Mark>;
};

export type Tree = { readonly value: unknown; readonly mark: Mark };

export type Yaml = { readonly file: string; readonly document: Document.Parsed; readonly lines: LineCounter };

/** Aliases may repeat this many values; a text that repeats more is meant to exhaust memory. */
const maxRepeated = 200_000;

/** Parses `text`; null where it is not YAML, which is then reported. */
export function parseYaml(text: string, file: string, report: Report): Yaml | null {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    stringKeys: true,
    uniqueKeys: false, // the builder sees to it: here, the time would grow with the square of the number of keys
    prettyErrors: false,
    lineCounter: lines,
  });
  const yaml = { file, document, lines };
  // One mistake often makes several errors, one inside the other: the first says where to look.
  const problems = [...document.errors.slice(0, 1), ...document.warnings];
  for (const { code, message, pos } of problems) {
    const place = placeAt(yaml, pos[0]);
    report(place, [], yamlMessage(code, message, text.split('\n')[place.line - 1] ?? ''));
  }
  return problems.length === 0 ? yaml : null;
}

/** Every string of the document, before values are put into them. */
export function stringsOf({ document }: Yaml): string[] {
  const strings: string[] = [];
  visit(document, {
    Scalar(_, { value }) {
      if (typeof value === 'string') strings.push(value);
    },
  });
  return strings;
}

/** The document's data with `expand` applied to every string value (keys stay as they are); null if it is empty. */
export function treeOf(yaml: Yaml, expand: (text: string) => Expansion, report: Report): Tree | null {
  const { contents } = yaml.document;
  return contents === null ? null : new Builder(yaml, expand, report).build(contents, placeAt(yaml, 0), []);
}

class Builder {
  readonly #yaml: Yaml;
  readonly #expand: (text: string) => Expansion;
  readonly #report: Report;
  /** By name, as read so far: an alias stands for the last anchor before it. */
  readonly #anchors = new Map<string, Node>();
  /** Anchored nodes whose aliases are being built: an alias inside its own value is refused. */
  readonly #open = new Set<Node>();
  #repeated = 0;

  constructor(yaml: Yaml, expand: (text: string) => Expansion, report: Report) {
    this.#yaml = yaml;
    this.#expand = expand;
    this.#report = report;
  }

  build(node: Node | null, key: Place, path: Path): Tree {
    if (this.#open.size > 0 && ++this.#repeated > maxRepeated) {
      if (this.#repeated === maxRepeated + 1)
        this.#report(key, path, `aliases repeat more than ${maxRepeated} values: write fewer of them`);
      return leaf(null, key);
    }
    if (isAlias(node)) return this.#buildAlias(node, key, path);
    if (this.#open.size === 0 && (isScalar(node) || isCollection(node)) && node.anchor !== undefined)
      this.#anchors.set(node.anchor, node);
    if (isMap<Node, Node | null>(node)) return this.#buildMap(node, key, path);
    if (isSeq<Node | null>(node)) return this.#buildList(node.items, key, path);
    const place = this.#placeOf(node, key);
    const value: unknown = isScalar(node) ? node.value : null;
    if (typeof value !== 'string') return leaf(value, key, place);
    const { text, isChanged, problems } = this.#expand(value);
    for (const problem of problems) this.#report(place, path, problem);
    return leaf(text, key, place, isChanged);
  }

  #buildAlias(alias: Alias, key: Place, path: Path): Tree {
    const place = this.#placeOf(alias, key);
    const node = this.#anchors.get(alias.source);
    if (node === undefined || this.#open.has(node)) {
      const what = node === undefined ? `has no anchor &${alias.source} before it` : 'stands within itself';
      this.#report(place, path, `the alias *${alias.source} ${what}`);
      return leaf(null, key, place);
    }
    this.#open.add(node);
    const tree = this.build(node, key, path);
    this.#open.delete(node);
    return tree;
  }

  #buildMap(map: YAMLMap<Node, Node | null>, key: Place, path: Path): Tree {
    const own = new Map<string, Tree>();
    const inherited: (readonly [string, Tree])[][] = [];
    for (const pair of map.items) {
      const name = isScalar(pair.key) ? String(pair.key.value) : '';
      const place = this.#placeOf(pair.key, key);
      if (name === '<<') inherited.push(this.#merge(pair.value, place, path));
      else if (name === '__proto__') this.#report(place, [...path, name], 'this name is not allowed');
      else if (own.has(name)) this.#reportTwice(place, [...path, name], own.get(name)?.mark.key ?? key);
      else own.set(name, this.build(pair.value, place, [...path, name]));
    }
    for (const [name, tree] of inherited.flat()) if (!own.has(name)) own.set(name, tree);
    return parent(Object.fromEntries([...own].map(([name, tree]) => [name, tree.value])), own, key);
  }

  #reportTwice(place: Place, path: Path, { line, column }: Place): void {
    this.#report(
      place,
      path,
      `stands twice in the same map, first at line ${line}, column ${column}: keep one of them`,
    );
  }

  #buildList(items: readonly (Node | null)[], key: Place, path: Path): Tree {
    const children = items.map((item, index): [number, Tree] => [
      index,
      this.build(item, this.#placeOf(item, key), [...path, index]),
    ]);
    const values = children.map(([, tree]) => tree.value);
    return parent(values, children, key);
  }

  /** The entries that `<<: *anchor`, or a list of anchors, takes from other maps. */
  #merge(node: Node | null, place: Place, path: Path): [string, Tree][] {
    const { value, mark } = this.build(node, place, path);
    const sources = Array.isArray(value)
      ? value.map((item: unknown, index) => ({ item, marks: mark.children.get(index)?.children }))
      : [{ item: value, marks: mark.children }];
    return sources.flatMap(({ item, marks }) => {
      if (isRecord(item) && marks !== undefined)
        return Object.entries(item).map(([name, inner]): [string, Tree] => [
          name,
          { value: inner, mark: marks.get(name) ?? mark },
        ]);
      this.#report(place, path, '`<<` takes over the keys of another map: write `<<: *ANCHOR`');
      return [];
    });
  }

  #placeOf(node: Node | null, otherwise: Place): Place {
    return node?.range ? placeAt(this.#yaml, node.range[0]) : otherwise;
  }
}

/** Top-level keys that begin with `x-` belong to the author: a place for anchors. */
const isNote = (key: unknown): boolean => typeof key === 'string' && key.startsWith('x-');

export function withoutNotes({ value, mark }: Tree): Tree {
  if (!isRecord(value)) return { value, mark };
  const children = new Map([...mark.children].filter(([key]) => !isNote(key)));
  return {
    value: Object.fromEntries(Object.entries(value).filter(([key]) => !isNote(key))),
    mark: { ...mark, children },
  };
}

/** The mark of `path`, if anything was written there. */
export function markAt(mark: Mark | undefined, path: Path): Mark | undefined {
  return path.reduce((inner, key) => inner?.children.get(key), mark);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function leaf(value: unknown, key: Place, place = key, isSubstituted = false): Tree {
  return { value, mark: { key, value: place, isSubstituted, children: new Map() } };
}

function parent(value: unknown, children: Iterable<readonly [string | number, Tree]>, key: Place): Tree {
  const marks = new Map([...children].map(([name, tree]) => [name, tree.mark]));
  return { value, mark: { key, value: key, isSubstituted: false, children: marks } };
}

function placeAt({ file, lines }: Yaml, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
}

function yamlMessage(code: string, message: string, line: string): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here: remove the line `---`';
  if (code === 'NON_STRING_KEY') return 'a key must be plain text';
  if (code === 'TAB_AS_INDENT') return 'not valid YAML: a tab stands where the line is indented: use spaces';
  const hint = line.includes('${') ? '; a value with ${…} inside { } or [ ] needs quotes: "${NAME}"' : '';
  return `not valid YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}${hint}`;
}
