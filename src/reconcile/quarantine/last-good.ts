/**
 * What was wanted and went live last, also once it has ended by itself: a service in quarantine keeps its sections from
 * there. Never what was read back: that may be what somebody made of it.
 */

import type { KeptFiles } from '../../apply/files/kept-files.ts';
import type { Owner } from '../../haproxy/resources/resource.ts';
import type { Section } from '../../model.ts';
import { withoutOverrides } from '../overrides/overrides.ts';

type Sections = readonly Section[];

/** What became of the files that sections name, as HAProxy had them when it was started with these sections. */
export type Copies = Pick<KeptFiles, 'withCopies' | 'areNamedBy'>;

export class LastGood {
  readonly #copies: Copies;
  #sections: Sections;
  /** The same as a whole: of the last good ones those are forgotten that are refused as well while nothing serves. */
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
      changed.size === 0 ? sections : sections.map((section) => changed.get(titleOf(section)) ?? section);
    this.#sections = follow(this.#sections);
    this.#live = follow(this.#live);
  }

  /** What is given, with the copies of the files that the last good sections of these services name. */
  withCopiesOf(services: readonly string[], sections: Sections): Sections {
    return services
      .filter((service) => this.#copies.areNamedBy(this.of(service)))
      .reduce((all, service) => this.#copies.withCopies(all, service), sections);
  }

  /** The last good sections of a service refer to the files as they were. False when they do already, or name none. */
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
