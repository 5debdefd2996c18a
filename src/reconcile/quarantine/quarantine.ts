/**
 * The services in quarantine: HAProxy refuses their desired sections, so their last good sections stand in their place
 * and the others go live. Where HAProxy does not name the service at fault, the search for it is here.
 */

import { nothingKept } from '../../apply/files/kept-files.ts';
import type { Owner } from '../../haproxy/resources/resource.ts';
import { emptyBackend, isProxy, modeOf, substitute, wordsOf } from '../../haproxy/text/attribution.ts';
import type { Moment, Problem, Rendered, Section } from '../../model.ts';
import { type Copies, LastGood, sectionsOf } from './last-good.ts';
import { nextQuarantineState, type QuarantineEvent, type QuarantineState } from './state.ts';

/** A service in quarantine, and why. */
export type Quarantined = { readonly service: string; readonly problems: readonly Problem[]; readonly since: Moment };

type Held = Extract<QuarantineState, { readonly kind: 'held' }>;

export class Quarantine {
  readonly #now: () => Moment;
  readonly #lastGood: LastGood;
  /** All that are not healthy, by service. */
  readonly #states = new Map<string, Exclude<QuarantineState, { readonly kind: 'healthy' }>>();
  /** The services left out in this reconcile on suspicion only, which were not held before. */
  readonly #suspects = new Set<string>();
  /** Which half of the suspects was left out last. */
  #isFirstHalf = false;

  constructor(found: readonly Section[] | null, now: () => Moment, copies: Copies = nothingKept) {
    this.#now = now;
    this.#lastGood = new LastGood(found, copies);
  }

  /** Includes services that are being retried: the quarantine ends only when their sections are live. */
  get all(): readonly Quarantined[] {
    return [...this.#states].map(([service, { problems, since }]) => ({ service, problems, since }));
  }

  /** When the next service is retried; null: none is held. */
  get nextRetry(): Moment | null {
    // A service that is being retried only waits for the reload.
    const moments = [...this.#states.values()].flatMap((state) => (state.kind === 'held' ? [state.backOff.until] : []));
    return moments.length === 0 ? null : moments.reduce((a, b) => Math.min(a, b));
  }

  /** All that went live last. */
  get live(): readonly Section[] {
    return this.#lastGood.live;
  }

  /** Whether other sections replace those of this service. */
  isHeld(service: string | null): boolean {
    return service !== null && this.#states.get(service)?.kind === 'held';
  }

  /** Whether a retried service has its refused structure again: without a reload, its success proves nothing. */
  get needsCheck(): boolean {
    return [...this.#states.values()].some((state) => state.kind === 'retrying' && state.isKnown);
  }

  /** The desired sections of held services, with the files that their last good sections name. */
  withTheirFiles({ sections }: Rendered): readonly Section[] {
    return this.#lastGood.withCopiesOf([...this.#held().keys()], sections);
  }

  /**
   * `rendered` with the last good sections of each held service; where it has none, or was removed, an empty
   * backend.
   */
  substituted(rendered: Rendered): Rendered {
    const substitutes = [...this.#held()].map(([service, { backOff }]) => {
      const lastGood = this.#lastGood.of(service);
      if (backOff.sections.length > 0) return [service, lastGood.length === 0 ? null : lastGood] as const;
      return [service, [emptyBackend(service, modeOf(lastGood, service))]] as const;
    });
    return substitute(rendered, new Map(substitutes));
  }

  /** A reconcile begins: services that are due are retried. */
  begin({ sections }: Rendered): void {
    this.#suspects.clear();
    const now = this.#now();
    for (const service of [...this.#states.keys()])
      this.#note(service, { kind: 'wanted', sections: sectionsOf(sections, service), now });
  }

  /** Something other than servers has changed: all are retried as soon as possible. */
  retrySoon(): void {
    this.#noteAll({ kind: 'retry_soon' });
  }

  /** Puts each service into quarantine that a problem names. False when all of them are held already. */
  attribute(rendered: Rendered, problems: readonly Problem[]): boolean {
    const named = Map.groupBy(
      problems.filter(({ service }) => service !== null),
      ({ service }) => service ?? '',
    );
    let any = false;
    for (const [service, its] of named) any = this.#refuse(rendered, service, its) || any;
    return any;
  }

  /**
   * The same for a refusal of `wanted` by HAProxy. Where HAProxy names no service: suspects first those whose change
   * its message mentions, then halves of those that changed. False when nothing else is left to try.
   */
  attributeRefusal(rendered: Rendered, wanted: Rendered, problems: readonly Problem[], isServing: boolean): boolean {
    const held = [...this.#held().keys()];
    let any = this.attribute(rendered, problems);
    // Their last good sections are refused too: perhaps a file that they name has changed. To empty a service that
    // serves would be worse than to change nothing; where nothing serves, the other services should.
    for (const service of held)
      if (problems.some((problem) => problem.service === service))
        any = this.#lastGood.nameCopies(service) || (!isServing && this.#lastGood.forget(service)) || any;
    if (any || problems.some(({ service }) => service !== null)) return any;

    const changed = this.#changed(wanted);
    const words = wordsOf(problems, wanted.sections);
    const spokenOf = [...this.#lastGood.sections, ...wanted.sections].filter(
      (section) => isProxy(section) && words.has(section.name),
    );
    const concerned = new Set(spokenOf.map(({ service }) => service));
    const names = changed.filter((service) => concerned.has(service));
    const retrying = this.#retrying();
    const suspects = retrying.length > 0 ? retrying : changed;
    return this.#suspect(rendered, names, problems) || this.#suspect(rendered, this.#half(suspects), problems);
  }

  /** Ends all retries after a failure, so that the others do not wait for them. False when there were none. */
  endRetries(): boolean {
    const any = this.#retrying().length > 0;
    this.#noteAll({ kind: 'not_live', now: this.#now() });
    return any;
  }

  /** Releases the suspects, since none of them is at fault. False when there are none. */
  release(): boolean {
    for (const service of this.#suspects) this.#note(service, { kind: 'released' });
    return this.#suspects.size > 0;
  }

  /** These sections are live, retried services included. `isAccepted` false: they ran before already. */
  wentLive({ sections }: Rendered, isAccepted: boolean): void {
    this.#lastGood.wentLive(sections);
    this.#noteAll({ kind: 'live', isAccepted, now: this.#now() });
  }

  /** Commands have changed these in what runs, while the rest of what is wanted waits or is refused. */
  serversWentLive(running: readonly Section[], owners: readonly Owner[]): void {
    this.#lastGood.serversWentLive(running, owners);
  }

  #note(service: string, event: QuarantineEvent): void {
    const state = nextQuarantineState(this.#states.get(service) ?? { kind: 'healthy' }, event);
    if (state.kind === 'healthy') this.#states.delete(service);
    else this.#states.set(service, state);
  }

  #noteAll(event: QuarantineEvent): void {
    for (const service of [...this.#states.keys()]) this.#note(service, event);
  }

  #held(): ReadonlyMap<string, Held> {
    return new Map([...this.#states].flatMap(([service, state]) => (state.kind === 'held' ? [[service, state]] : [])));
  }

  #retrying(): readonly string[] {
    return [...this.#states].flatMap(([service, { kind }]) => (kind === 'retrying' ? [service] : []));
  }

  /** The services whose desired sections differ from those that went live last, including removed services. */
  #changed({ sections }: Rendered): readonly string[] {
    const before = Map.groupBy(this.#lastGood.sections, ({ service }) => service);
    const after = Map.groupBy(sections, ({ service }) => service);
    const all = [...after.keys(), ...before.keys()].filter((service) => service !== null);
    return [...new Set(all)].filter(
      (service) => !this.isHeld(service) && textOf(before.get(service)) !== textOf(after.get(service)),
    );
  }

  /** Leaves out one half after the other until the service at fault is found. */
  #half(suspects: readonly string[]): readonly string[] {
    const middle = Math.floor(suspects.length / 2);
    if (middle === 0) return suspects;
    this.#isFirstHalf = !this.#isFirstHalf;
    return this.#isFirstHalf ? suspects.slice(0, middle) : suspects.slice(middle);
  }

  #suspect(rendered: Rendered, services: readonly string[], problems: readonly Problem[]): boolean {
    let any = false;
    for (const service of services) {
      if (!this.#states.has(service)) this.#suspects.add(service);
      const its = problems.map((problem) => ({ ...problem, service }));
      any = this.#refuse(rendered, service, its) || any;
    }
    return any;
  }

  /** False when it is held already. */
  #refuse({ sections }: Rendered, service: string, problems: readonly Problem[]): boolean {
    if (this.isHeld(service)) return false;
    this.#note(service, { kind: 'refused', problems, sections: sectionsOf(sections, service), now: this.#now() });
    return true;
  }
}

function textOf(sections: readonly Section[] | undefined): string {
  return (sections ?? []).map(({ text }) => text).join('');
}
