/**
 * The services that are set apart: what each was refused for, what stands in its place, and when it gets another try.
 * A fault is known again by the structure that was refused: that servers come and go makes it no other.
 */
import { type KeptFiles, nothingKept } from '../apply/files/kept-files.ts';
import { emptyBackend, hold, isProxy, modeOf, wordsOf } from '../haproxy/text/attribution.ts';
import { sameStructure } from '../haproxy/text/structure.ts';
import type { Moment, Ms, Problem, Rendered, Section } from '../model.ts';
import { withoutOverrides } from './overrides.ts';

/** A service that was set apart, and what for. */
export type Quarantined = { readonly service: string; readonly problems: readonly Problem[]; readonly since: Moment };

type Held = Quarantined & {
  /** What was refused; empty: that it is there no more. */
  readonly refused: readonly Section[];
  readonly attempts: number;
  readonly triedAt: Moment;
  readonly state:
    | { readonly kind: 'held'; readonly until: Moment }
    /** It is being tried. `isKnown`: the same structure was refused before. */
    | { readonly kind: 'retrying'; readonly isKnown: boolean };
};

/** Between two tries, whatever has changed. */
export const shortestRetryMs: Ms = 1000;
const longestRetryMs: Ms = 30_000;

/** What became of the files that sections name, as HAProxy had them when it was started with these sections. */
type Copies = Pick<KeptFiles, 'withCopies' | 'areNamedBy'>;

export class Quarantine {
  readonly #now: () => Moment;
  readonly #copies: Copies;
  readonly #held = new Map<string, Held>();
  /**
   * What was wanted and went live last, also once it has ended by itself: a service that is set apart keeps its sections
   * from there. Never what was read back: that may be what somebody made of it.
   */
  #lastGood: readonly Section[];
  /** The same as a whole: of the last good ones those are forgotten that are refused as well while nothing serves. */
  #live: readonly Section[];
  /** Those that were left out in this reconcile although nobody named them, and were not before. */
  readonly #suspects = new Set<string>();
  /** Which half of the suspects was left out last. */
  #isFirstHalf = false;

  constructor(found: readonly Section[] | null, now: () => Moment, copies: Copies = nothingKept) {
    this.#now = now;
    this.#copies = copies;
    this.#lastGood = withoutOverrides(found ?? []);
    this.#live = this.#lastGood;
  }

  /** Those that are being tried too: it is not over before their sections are live. */
  get all(): readonly Quarantined[] {
    return [...this.#held.values()];
  }

  /** When one gets another try; null: none is set apart. */
  get nextTrial(): Moment | null {
    // One that is being tried has had its moment: what it waits for now is the reload.
    const moments = [...this.#held.values()].flatMap(({ state }) => (state.kind === 'held' ? [state.until] : []));
    return moments.length === 0 ? null : moments.reduce((a, b) => Math.min(a, b));
  }

  /** All that went live last. */
  get live(): readonly Section[] {
    return this.#live;
  }

  /** The last good sections of a service; empty: it has none. */
  lastGood(service: string): readonly Section[] {
    return sectionsOf(this.#lastGood, service);
  }

  /** What is wanted of those that are set apart, with the files that their last good sections name. */
  withTheirFiles({ sections }: Rendered): readonly Section[] {
    return this.#waiting()
      .filter(({ service }) => this.#copies.areNamedBy(this.lastGood(service)))
      .reduce((all, { service }) => this.#copies.withCopies(all, service), sections);
  }

  /** Whether something else stands in the place of this service. */
  isHeld(service: string | null): boolean {
    return service !== null && this.#held.get(service)?.state.kind === 'held';
  }

  /**
   * `rendered` with the last good sections of each that is set apart; where it has none, or is to be there no more, an
   * empty backend.
   */
  substituted(rendered: Rendered): Rendered {
    const substitutes = this.#waiting().map(({ service, refused }) => {
      const lastGood = this.lastGood(service);
      if (refused.length > 0) return [service, lastGood.length === 0 ? null : lastGood] as const;
      return [service, [emptyBackend(service, modeOf(lastGood, service))]] as const;
    });
    return hold(rendered, new Map(substitutes));
  }

  /** What was refused gets another try after a while, another structure as soon as may be. */
  retryDue({ sections }: Rendered): void {
    this.#suspects.clear();
    for (const [service, held] of this.#held) {
      const { state, refused, triedAt } = held;
      const wanted = sectionsOf(sections, service);
      if (wanted.length === 0 && refused.length > 0) {
        this.#held.delete(service);
        continue;
      }
      const isKnown = sameStructure(refused, wanted);
      const until = state.kind === 'held' ? state.until : 0;
      const at = isKnown ? until : Math.min(until, triedAt + shortestRetryMs);
      const attempts = isKnown ? held.attempts : 0;
      const isTried = isKnown && state.kind === 'retrying' ? state.isKnown : isKnown;
      this.#held.set(service, {
        ...held,
        refused: wanted,
        attempts,
        state: at <= this.#now() ? { kind: 'retrying', isKnown: isTried } : { kind: 'held', until: at },
      });
    }
  }

  /** Something else than servers has changed: all are tried as soon as may be. */
  retrySoon(): void {
    for (const [service, held] of this.#held)
      if (held.state.kind === 'held') {
        const until = Math.min(held.state.until, held.triedAt + shortestRetryMs);
        this.#held.set(service, { ...held, state: { kind: 'held', until } });
      }
  }

  /** Sets apart each service that a problem names. False when there is none that is not set apart already. */
  blame(rendered: Rendered, problems: readonly Problem[]): boolean {
    const blamed = Map.groupBy(
      problems.filter(({ service }) => service !== null),
      ({ service }) => service ?? '',
    );
    let any = false;
    for (const [service, its] of blamed) any = this.#blame(rendered, service, its) || any;
    return any;
  }

  /**
   * The same for what HAProxy refused of `wanted`. Where it does not say whose fault that is: first of those whose change
   * it speaks about, then by halves of those that changed. False when that leaves nothing else to try.
   */
  blameRefused(rendered: Rendered, wanted: Rendered, problems: readonly Problem[], isServing: boolean): boolean {
    const waiting = this.#waiting().map(({ service }) => service);
    let any = this.blame(rendered, problems);
    // Their last good sections are refused too: what they name on disk is not as it was, maybe. To empty a service that
    // serves would be worse than to change nothing; where nothing serves, the others shall.
    for (const service of waiting)
      if (problems.some((problem) => problem.service === service))
        any = this.#nameCopies(service) || (!isServing && this.#forgetLastGood(service)) || any;
    if (any || problems.some(({ service }) => service !== null)) return any;

    const changed = this.#changed(wanted);
    const words = wordsOf(problems, wanted.sections);
    const spokenOf = [...this.#lastGood, ...wanted.sections].filter(
      (section) => isProxy(section) && words.has(section.name),
    );
    const concerned = new Set(spokenOf.map(({ service }) => service));
    const names = changed.filter((service) => concerned.has(service));
    const retrying = this.#retrying().map(({ service }) => service);
    const suspects = retrying.length > 0 ? retrying : changed;
    return this.#suspect(rendered, names, problems) || this.#suspect(rendered, this.#half(suspects), problems);
  }

  /** Whatever went wrong while they were tried, the others do not wait for them. False when none was. */
  endTrials(): boolean {
    const retrying = this.#retrying();
    for (const held of retrying) this.#hold(held);
    return retrying.length > 0;
  }

  /** It was none of those that were left out to find out whose fault it is. False when there are none. */
  acquit(): boolean {
    for (const service of this.#suspects) this.#held.delete(service);
    return this.#suspects.size > 0;
  }

  /** This is live, and with it what was being tried. `isProved` false: what runs was there before. */
  wentLive({ sections }: Rendered, isProved: boolean): void {
    this.#lastGood = sections;
    this.#live = sections;
    for (const [service, held] of this.#held) {
      if (held.state.kind !== 'retrying') continue;
      if (isProved || !held.state.isKnown) this.#held.delete(service);
      else this.#hold(held);
    }
  }

  /** Whether one that is being tried is what was refused before: where nothing is reloaded for it, that proves nothing. */
  get isUnproved(): boolean {
    return this.#retrying().some(({ state }) => state.kind === 'retrying' && state.isKnown);
  }

  /** Commands have changed the servers of these backends, in what runs, while the rest of what is wanted waits or is refused. */
  serversWentLive(running: readonly Section[], backends: readonly string[]): void {
    const changed = new Map(
      withoutOverrides(running.filter(({ kind, name }) => kind === 'backend' && backends.includes(name))).map(
        (each) => [each.name, each],
      ),
    );
    const follow = (sections: readonly Section[]): readonly Section[] =>
      sections.map((section) => (section.kind === 'backend' ? (changed.get(section.name) ?? section) : section));
    this.#lastGood = follow(this.#lastGood);
    this.#live = follow(this.#live);
  }

  /** Those in whose place something else stands. */
  #waiting(): readonly Held[] {
    return [...this.#held.values()].filter(({ state }) => state.kind === 'held');
  }

  #retrying(): readonly Held[] {
    return [...this.#held.values()].filter(({ state }) => state.kind === 'retrying');
  }

  /** The services of which something else is wanted than went live last, those that are to be there no more among them. */
  #changed({ sections }: Rendered): readonly string[] {
    const before = Map.groupBy(this.#lastGood, ({ service }) => service);
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
      if (!this.#held.has(service)) this.#suspects.add(service);
      const its = problems.map((problem) => ({ ...problem, service }));
      any = this.#blame(rendered, service, its) || any;
    }
    return any;
  }

  #blame({ sections }: Rendered, service: string, problems: readonly Problem[]): boolean {
    const before = this.#held.get(service);
    if (before?.state.kind === 'held') return false;
    this.#hold({
      service,
      problems,
      since: before?.since ?? this.#now(),
      refused: sectionsOf(sections, service),
      attempts: before?.attempts ?? 0,
    });
    return true;
  }

  /** The last good sections of a service refer to the files as they were. False when they do, or name none. */
  #nameCopies(service: string): boolean {
    const before = this.#lastGood;
    this.#lastGood = this.#copies.withCopies(before, service);
    this.#live = this.#copies.withCopies(this.#live, service);
    return this.#lastGood.some((section, at) => section !== before[at]);
  }

  /** False when there is nothing to forget. */
  #forgetLastGood(service: string): boolean {
    const before = this.#lastGood;
    this.#lastGood = before.filter((section) => section.service !== service);
    return this.#lastGood.length < before.length;
  }

  #hold(held: Omit<Held, 'triedAt' | 'state'>): void {
    const attempts = held.attempts + 1;
    const triedAt = this.#now();
    const state = { kind: 'held', until: triedAt + backOff(attempts) } as const;
    this.#held.set(held.service, { ...held, attempts, triedAt, state });
  }
}

/** How long what was refused so many times is left alone. */
export function backOff(attempts: number): Ms {
  return Math.min(shortestRetryMs * 2 ** Math.min(attempts - 1, 20), longestRetryMs);
}

function sectionsOf(sections: readonly Section[], service: string): readonly Section[] {
  return sections.filter((section) => section.service === service);
}

function textOf(sections: readonly Section[] | undefined): string {
  return (sections ?? []).map(({ text }) => text).join('');
}
