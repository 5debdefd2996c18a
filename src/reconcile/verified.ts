/** Sections that were found to run as they should: while HAProxy says the same of the same section, it still does. */
import type { ServerStateRow } from '../haproxy/cli/info.ts';
import type { Section } from '../model.ts';

/** By backend, what HAProxy says of its servers. */
type Said = ReadonlyMap<string, readonly ServerStateRow[]>;

export class VerifiedSections {
  #said = new WeakMap<Section, string>();

  /** What of it is not what was said of the same sections when they were proved. */
  news(said: Said, running: readonly Section[]): Said {
    const known = new Set<string>();
    for (const section of running) {
      const rows = said.get(section.name);
      if (rows !== undefined && this.#said.get(section) === wordsOf(rows)) known.add(section.name);
    }
    return new Map([...said].filter(([backend]) => !known.has(backend)));
  }

  /** These sections are as they should be. */
  add(said: Said, sections: readonly Section[]): void {
    for (const section of sections) {
      const rows = said.get(section.name);
      if (rows !== undefined && section.kind === 'backend') this.#said.set(section, wordsOf(rows));
    }
  }

  clear(): void {
    this.#said = new WeakMap();
  }
}

/** Of what it says, all that a comparison looks at; times and counts change by themselves. */
function wordsOf(rows: readonly ServerStateRow[]): string {
  return rows
    .map((row) =>
      [row.srv_name, row.srv_addr, row.srv_port, row.srv_fqdn, row.srv_uweight, row.srv_admin_state].join(' '),
    )
    .join('\n');
}
