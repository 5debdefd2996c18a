/**
 * The desired sections that went live last, even if HAProxy has ended: a service in quarantine keeps its sections from
 * there. Never the sections read back from HAProxy: they may hold drift.
 */

import type { KeptFiles } from '../../apply/files/kept-files.ts';
import type { Owner } from '../../haproxy/resources/resource.ts';
import type { Section } from '../../model.ts';
import { withoutOverrides } from '../overrides/overrides.ts';

type Sections = readonly Section[];

/** Copies of the files that sections name, as they were when HAProxy was started with these sections. */
export type Copies = Pick<KeptFiles, 'withCopies' | 'areNamedBy'>;

export class LastGood {
  readonly #copies: Copies;
  #sections: Sections;
  /** All live sections; the last good ones lose those that are refused too while nothing serves. */
  #live: Sections;

  constructor(found: Sections | null, copies: Copies) {
    this.#copies = copies;
    this.#sections = withoutOverrides(found ?? []);
    this.#live = this.#sections;
  }

  /** All that is remembered as good. */
  get sections(): Sections {
    return this.#sections;
  }

  /** All that went live last. */
  get live(): Sections {
    return this.#live;
  }

  /** Of one service; empty: it has none. */
  of(service: string): Sections {
    return sectionsOf(this.#sections, service);
  }

  wentLive(sections: Sections): void {
    this.#sections = sections;
    this.#live = sections;
  }

  /** Commands have changed these in what runs, while the rest of what is wanted waits or is refused. */
  serversWentLive(running: Sections, owners: readonly Owner[]): void {
    const titleOf = ({ kind, name }: Section): string => `${kind} ${name}`;
    const concerned = running.filter((section) => owners.includes(titleOf(section)));
    const changed = new Map(withoutOverrides(concerned).map((each) => [titleOf(each), each]));
    const follow = (sections: Sections): Sections =>
      sections.flatMap((section) => {
        const title = titleOf(section);
        return changed.get(title) ?? (owners.includes(title) ? [] : section);
      });
    this.#sections = follow(this.#sections);
    this.#live = follow(this.#live);
  }

  /** The given sections, with copies of the files that the last good sections of these services name. */
  withCopiesOf(services: readonly string[], sections: Sections): Sections {
    return services
      .filter((service) => this.#copies.areNamedBy(this.of(service)))
      .reduce((all, service) => this.#copies.withCopies(all, service), sections);
  }

  /** Makes the last good sections of a service name the copies. False when they already do, or name no files. */
  nameCopies(service: string): boolean {
    const before = this.#sections;
    this.#sections = this.#copies.withCopies(before, service);
    this.#live = this.#copies.withCopies(this.#live, service);
    return this.#sections.some((section, at) => section !== before[at]);
  }

  /** False when there is nothing to forget. */
  forget(service: string): boolean {
    const before = this.#sections;
    this.#sections = before.filter((section) => section.service !== service);
    return this.#sections.length < before.length;
  }
}

export function sectionsOf(sections: Sections, service: string): Sections {
  return sections.filter((section) => section.service === service);
}
