/** The difference between two states of the file as people read it: unified, section by section. */
import { linesOf } from '../haproxy/text/text.ts';
import type { Section } from '../model.ts';

/** Lines shown before and after each change. */
const context = 3;

type Edit = { readonly sign: ' ' | '-' | '+'; readonly line: string };

/** Each section that differs, under a line `@@ backend web @@`. Empty where the files are the same, byte for byte. */
export function diff(running: readonly Section[], wanted: readonly Section[]): string {
  const old = byTitle(running);
  const now = byTitle(wanted);
  // A section that is gone is shown where it stood: right after what preceded it.
  const titles = [...merge([...old.keys()], [...now.keys()])].map(({ line }) => line);
  return [...new Set(titles)]
    .map((title) => {
      const before = old.get(title) ?? '';
      const after = now.get(title) ?? '';
      return before === after ? '' : `@@ ${title} @@\n${shorten(merge(linesOf(before), linesOf(after)))}`;
    })
    .join('');
}

function byTitle(sections: readonly Section[]): ReadonlyMap<string, string> {
  const titled = new Map<string, string>();
  for (const { kind, name, text } of sections) {
    const plain = [kind === '' ? 'top' : kind, name].filter(Boolean).join(' ');
    let title = plain;
    for (let count = 2; titled.has(title); count++) title = `${plain} #${count}`;
    titled.set(title, text);
  }
  return titled;
}

/**
 * Lines that occur once in each are where they meet, as many as keep their order; the lines between are compared from
 * both ends. That is what people see, and it costs little even for a backend of ten thousand servers.
 */
function merge(before: readonly string[], after: readonly string[]): Edit[] {
  const edits: Edit[] = [];
  let a = 0;
  let b = 0;
  for (const [nextA, nextB] of [...meetings(before, after), [before.length, after.length] as const]) {
    for (const edit of between(before.slice(a, nextA), after.slice(b, nextB))) edits.push(edit);
    const line = before[nextA];
    if (line !== undefined) edits.push({ sign: ' ', line });
    a = nextA + 1;
    b = nextB + 1;
  }
  return edits;
}

function between(before: readonly string[], after: readonly string[]): Edit[] {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const edits = (sign: Edit['sign'], lines: readonly string[]): Edit[] => lines.map((line) => ({ sign, line }));
  return [
    ...edits(' ', before.slice(0, start)),
    ...edits('-', before.slice(start, before.length - end)),
    ...edits('+', after.slice(start, after.length - end)),
    ...edits(' ', before.slice(before.length - end)),
  ];
}

/** Pairs of places of lines that are unique in both; the longest run of them that ascends in both. */
function meetings(before: readonly string[], after: readonly string[]): (readonly [number, number])[] {
  const places = unique(after);
  const pairs = [...unique(before)].flatMap(([line, a]) => {
    const b = places.get(line);
    return b === undefined ? [] : [[a, b] as const];
  });
  type Link = { readonly pair: readonly [number, number]; readonly previous: Link | undefined };
  // tops[n]: the run of n + 1 pairs that ends lowest in `after`.
  const tops: Link[] = [];
  for (const pair of pairs.sort(([a], [b]) => a - b)) {
    let low = 0;
    let high = tops.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((tops[middle]?.pair[1] ?? 0) < pair[1]) low = middle + 1;
      else high = middle;
    }
    tops[low] = { pair, previous: tops[low - 1] };
  }
  const run: (readonly [number, number])[] = [];
  for (let link = tops.at(-1); link !== undefined; link = link.previous) run.push(link.pair);
  return run.reverse();
}

function unique(lines: readonly string[]): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  const seen = new Set<string>();
  lines.forEach((line, at) => {
    if (seen.has(line)) places.delete(line);
    else places.set(line, at);
    seen.add(line);
  });
  return places;
}

/** Long stretches without a change become a line that says how long they are. */
function shorten(edits: readonly Edit[]): string {
  const changes = edits.flatMap(({ sign }, at) => (sign === ' ' ? [] : [at]));
  const shown = new Set(
    changes.flatMap((at) => Array.from({ length: 2 * context + 1 }, (_, step) => at + step - context)),
  );
  const lines: string[] = [];
  let hidden = 0;
  edits.forEach(({ sign, line }, at) => {
    if (!shown.has(at)) {
      hidden++;
      return;
    }
    if (hidden > 0) lines.push(`  … ${hidden} unchanged`);
    hidden = 0;
    lines.push(`${sign}${line}`);
  });
  if (hidden > 0) lines.push(`  … ${hidden} unchanged`);
  return lines.map((line) => `${line}\n`).join('');
}
