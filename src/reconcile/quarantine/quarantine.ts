/**
 * The services in quarantine: HAProxy refuses what is wanted of them, so that their last good sections stand in its place
 * and the others go live. Where HAProxy does not say whose fault it is, that is found out here.
 */

import { nothingKept } from '../../apply/files/kept-files.ts';
import type { Owner } from '../../haproxy/resources/resource.ts';
import { emptyBackend, isProxy, modeOf, substitute, wordsOf } from '../../haproxy/text/attribution.ts';
import type { Moment, Problem, Rendered, Section } from '../../model.ts';
import { type Copies, LastGood, sectionsOf } from './last-good.ts';
import { nextQuarantineState, type QuarantineEvent, type QuarantineState } from './state.ts';

/** A service in quarantine, and what for. */
export type Quarantined = { readonly service: string; readonly problems: readonly Problem[]; readonly since: Moment };

type Held = Extract<QuarantineState, { readonly kind: 'held' }>;

export class Quarantine {
  readonly #now: () => Moment;
  readonly #lastGood: LastGood;
  /** All that are not healthy, by service. */
  readonly #states = new Map<string, Exclude<QuarantineState, { readonly kind: 'healthy' }>>();
  /** Those that were left out in this reconcile although nobody named them, and were not before. */
  readonly #suspects = new Set<string>();
  /** Which half of the suspects was left out last. */
  #isFirstHalf = false;

  constructor(found: readonly Section[] | null, now: () => Moment, copies: Copies = nothingKept) {
    this.#now = now;
    this.#lastGood = new LastGood(found, copies);
  }

  /** Those that are being retried too: it is not over before their sections are live. */
  get all(): readonly Quarantined[] {
    return [...this.#states].map(([service, { problems, since }]) => ({ service, problems, since }));
  }

  /** When one gets another try; null: none is held. */
  get nextRetry(): Moment | null {
    // One that is being retried has had its moment: what it waits for now is the reload.
    const moments = [...this.#states.values()].flatMap((state) => (state.kind === 'held' ? [state.backOff.until] : []));
    return moments.length === 0 ? null : moments.reduce((a, b) => Math.min(a, b));
  }

  /** All that went live last. */
  get live(): readonly Section[] {
    return this.#lastGood.live;
  }

  /** Whether something else stands in the place of this service. */
  isHeld(service: string | null): boolean {
    return service !== null && this.#states.get(service)?.kind === 'held';
  }

  /** Whether one that is retried is what was refused before: where nothing is reloaded for it, that proves nothing. */
  get needsCheck(): boolean {
    return [...this.#states.values()].some((state) => state.kind === 'retrying' && state.isKnown);
  }

  /** What is wanted of those that are held, with the files that their last good sections name. */
  withTheirFiles({ sections }: Rendered): readonly Section[] {
    return this.#lastGood.withCopiesOf([...this.#held().keys()], sections);
  }

  /**
   * `rendered` with the last good sections of each that is held; where it has none, or is to be there no more, an empty
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

  /** A reconcile begins: what is due gets another try. */
  begin({ sections }: Rendered): void {
    this.#suspects.clear();
    const now = this.#now();
    for (const service of [...this.#states.keys()])
      this.#note(service, { kind: 'wanted', sections: sectionsOf(sections, service), now });
  }

  /** Something else than servers has changed: all are tried as soon as may be. */
  retrySoon(): void {
    this.#noteAll({ kind: 'retry_soon' });
  }

  /** Puts each service into quarantine that a problem names. False when there is none that is not held already. */
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
   * The same for what HAProxy refused of `wanted`. Where it does not say whose fault that is: first of those whose change
   * it speaks about, then by halves of those that changed. False when that leaves nothing else to try.
   */
  attributeRefusal(rendered: Rendered, wanted: Rendered, problems: readonly Problem[], isServing: boolean): boolean {
    const held = [...this.#held().keys()];
    let any = this.attribute(rendered, problems);
    // Their last good sections are refused too: what they name on disk is not as it was, maybe. To empty a service that
    // serves would be worse than to change nothing; where nothing serves, the others shall.
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

  /** Whatever went wrong while they were retried, the others do not wait for them. False when none was. */
  endRetries(): boolean {
    const any = this.#retrying().length > 0;
    this.#noteAll({ kind: 'not_live', now: this.#now() });
    return any;
  }

  /** It was none of those that were left out to find out whose fault it is. False when there are none. */
  release(): boolean {
    for (const service of this.#suspects) this.#note(service, { kind: 'released' });
    return this.#suspects.size > 0;
  }

  /** This is live, and with it what was retried. `isAccepted` false: what runs was there before. */
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

  /** The services of which something else is wanted than went live last, those that are to be there no more among them. */
  #changed({ sections }: Rendered): readonly string[] {
    const before = Map.groupBy(this.#lastGood.sections, ({ service }) => service);
    const after = Map.groupBy(sections, ({ service }) => service);
    const all = [...after.keys(), ...before.keys()].filter((service) => service !== null);
    return [...new Set(all)].filter(
      (service) => !this.isHeld(service) && textOf(before.get(service)) !== textOf(after.get(service)),
    );
  }

  /** By and by that finds the one: now these, now those are left out, so that each is tried without the one. */
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
