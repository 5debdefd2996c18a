/** Prints the difference between two states of the file for people (`myelin plan`): a unified diff, section by section. */
import { createHash } from 'node:crypto';
import { diffArrays } from 'diff';
import { linesOf } from '../haproxy/text/text.ts';
import type { Section } from '../model.ts';

/** Lines shown before and after each change. */
const context = 3;

/** The time to find the common lines grows with this. */
const mostEdits = 2000;

type Edit = { readonly sign: ' ' | '-' | '+'; readonly line: string };

/** Each section that differs, under a line `@@ backend web @@`. Empty where the files are the same, byte for byte. */
export function diff(running: readonly Section[], wanted: readonly Section[]): string {
  const old = byTitle(running);
  const now = byTitle(wanted);
  // A removed section is shown where it stood: right after the one before it.
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
  for (const { kind, name, text: written } of sections) {
    const text = kind === 'certificate' ? fingerprint(written) : written;
    const plain = [kind === '' ? 'top' : kind, name].filter(Boolean).join(' ');
    let title = plain;
    for (let count = 2; titled.has(title); count++) title = `${plain} #${count}`;
    titled.set(title, text);
  }
  return titled;
}

/** Stands for a certificate, whose private key must not be printed. */
function fingerprint(text: string): string {
  return `sha256 ${createHash('sha256').update(text).digest('hex')}\n`;
}

/** Where more lines than `mostEdits` differ, all old lines come first and then all new ones. */
function merge(before: readonly string[], after: readonly string[]): Edit[] {
  const changes = diffArrays([...before], [...after], { maxEditLength: mostEdits }) ?? [
    { removed: true, added: false, value: before },
    { removed: false, added: true, value: after },
  ];
  return changes.flatMap(({ removed, added, value }) =>
    value.map((line): Edit => ({ sign: removed ? '-' : added ? '+' : ' ', line })),
  );
}

/** Replaces each long stretch of unchanged lines by its length. */
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
