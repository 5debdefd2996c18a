/** Masks what is printed of a config by comparing it with the same config rendered without its secrets. */
import { mask, maskLines, maskSecrets } from '../../config/read/mask.ts';
import type { Section } from '../../model.ts';

export class Masking {
  /** By the line as it is written. */
  readonly #lines = new Map<string, string>();
  /** By the word of such a line. */
  readonly #words = new Map<string, string>();
  /** Lines that hold a secret now: a removed line of the same form holds the secret of before. */
  readonly #forms = new Map<string, RegExp>();

  readonly #secrets: readonly string[];

  /** Both have the same sections, written with `secrets`; where a template made other lines of the masks, none of that section is shown. */
  constructor(written: readonly Section[], masked: readonly Section[], secrets: readonly string[]) {
    this.#secrets = secrets;
    for (const [index, { text }] of written.entries()) {
      const shown = masked[index]?.text ?? '';
      if (text !== shown) this.#compare(text.split('\n'), shown.split('\n'));
    }
  }

  /** A diff, in which a sign stands before each line. */
  diff(text: string): string {
    const lines = text.split('\n').map((line) => line.slice(0, 1) + this.#masked(line.slice(1), line.startsWith('-')));
    return maskLines(lines.join('\n'));
  }

  #masked(line: string, isRemoved: boolean): string {
    const known = this.#lines.get(line);
    if (known !== undefined || !isRemoved) return known ?? line;
    // A line of before of which nothing else is known.
    return [...this.#forms].find(([, form]) => form.test(line))?.[0] ?? maskSecrets(line, this.#secrets);
  }

  /** A command for HAProxy, which repeats options of the config word by word. */
  command(text: string): string {
    return text
      .split(' ')
      .map((word) => this.#words.get(word) ?? word)
      .join(' ');
  }

  #compare(written: readonly string[], shown: readonly string[]): void {
    for (const [index, line] of written.entries()) {
      const isSameForm = written.length === shown.length;
      const its = isSameForm ? (shown[index] ?? '') : line.replace(/\S.*/, mask);
      if (line === its) continue;
      this.#lines.set(line, its);
      if (isSameForm) this.#forms.set(its, new RegExp(`^${its.split(mask).map(escaped).join('.*')}$`));
      const [words, masked] = [line.trim().split(/\s+/), its.trim().split(/\s+/)];
      for (const [at, word] of words.entries()) {
        const hidden = words.length === masked.length ? masked[at] : mask;
        if (hidden !== undefined && hidden !== word) this.#words.set(word, hidden);
      }
    }
  }
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
