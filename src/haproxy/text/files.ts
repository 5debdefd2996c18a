/**
 * Files beside `haproxy.cfg` that HAProxy reads with it. Each is a section among the others, so that what compares, plans
 * and records sections need not know: its kind says what it is, its name is its path, its text what stands in it.
 */
import type { Section } from '../../model.ts';

/** Whether a section is a file of its own, and no part of `haproxy.cfg`. */
export function isFile({ kind }: Pick<Section, 'kind'>): boolean {
  return modes.has(kind);
}

export type BesideFile = {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
  readonly mode: number;
};

/** The files beside `haproxy.cfg`. */
export function filesIn(sections: readonly Section[]): readonly BesideFile[] {
  return sections.flatMap(({ kind, name, text }) => {
    const mode = modes.get(kind);
    return mode === undefined ? [] : [{ path: name, text, mode }];
  });
}

/** Keys are nobody else's to read. */
const modes: ReadonlyMap<string, number> = new Map([
  ['map', 0o640],
  ['crt-list', 0o640],
  ['ca-file', 0o640],
  ['certificate', 0o600],
]);
