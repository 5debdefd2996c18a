/**
 * The services that are set apart: what each was refused for, what stands in its place, and when it gets another try.
 */
import type { Moment, Ms, Problem, Rendered, Section } from './model.ts';
import { withoutOverrides } from './overrides.ts';
import { hold } from './quarantine.ts';

/** A service that was set apart, and what for. */
export type Apart = { readonly service: string; readonly problems: readonly Problem[]; readonly since: Moment };

type Held = Apart & {
  /** What was refused; other sections get a try at once. */
  readonly refused: readonly Section[];
  readonly attempts: number;
  readonly retryAt: Moment;
  /** Its refused sections are being tried once more. */
  readonly onTrial: boolean;
};

const shortestRetryMs: Ms = 1000;
const longestRetryMs: Ms = 30_000;

export class SetApart {
  readonly #now: () => Moment;
  readonly #held = new Map<string, Held>();
  /**
   * What was wanted and went live last, also once it has ended by itself: a service that is set apart keeps its sections
   * from there. Never what was read back: that may be what somebody made of it.
   */
  #lastGood: readonly Section[];

  constructor(found: readonly Section[] | null, now: () => Moment) {
    this.#now = now;
    this.#lastGood = withoutOverrides(found ?? []);
  }

  /** Those on trial too: it is not over before their sections are live. */
  get all(): readonly Apart[] {
    return [...this.#held.values()];
  }

  /** When one gets another try; null: none is set apart. */
  get nextTrial(): Moment | null {
    // One that is on trial has had its moment: what it waits for now is the reload.
    const moments = this.#waiting().map(({ retryAt }) => retryAt);
    return moments.length === 0 ? null : moments.reduce((a, b) => Math.min(a, b));
  }

  /** All that went live last. */
  get live(): readonly Section[] {
    return this.#lastGood;
  }

  /** The last good sections of a service; empty: it has none. */
  lastGood(service: string): readonly Section[] {
    return sectionsOf({ sections: this.#lastGood }, service);
  }

  /** `rendered` with the last good sections of each that is set apart; where it has none, an empty backend. */
  substituted(rendered: Rendered): Rendered {
    return hold(
      rendered,
      new Map(
        this.#waiting().map(({ service }) => {
          const lastGood = this.lastGood(service);
          return [service, lastGood.length === 0 ? null : lastGood];
        }),
      ),
    );
  }

  /** What was refused as another text gets its trial at once, the same text after a while. */
  putOnTrial(rendered: Rendered): void {
    for (const [service, held] of this.#held) {
      const refused = sectionsOf(rendered, service);
      if (refused.length === 0 && held.refused.length > 0) this.#held.delete(service);
      else if (!sameText(held.refused, refused))
        this.#held.set(service, { ...held, refused, attempts: 0, onTrial: true });
      else if (held.retryAt <= this.#now()) this.#held.set(service, { ...held, onTrial: true });
    }
  }

  /** Sets apart each service that a problem names. False when there is none that is not set apart already. */
  blame(rendered: Rendered, problems: readonly Problem[]): boolean {
    const blamed = Map.groupBy(
      problems.filter(({ service }) => service !== null),
      ({ service }) => service ?? '',
    );
    let any = false;
    for (const [service, its] of blamed) {
      const before = this.#held.get(service);
      if (before !== undefined && !before.onTrial) continue;
      this.#hold({
        service,
        problems: its,
        since: before?.since ?? this.#now(),
        refused: sectionsOf(rendered, service),
        attempts: before?.attempts ?? 0,
      });
      any = true;
    }
    return any;
  }

  /** The same for what HAProxy refused. False when that leaves nothing else to try. */
  blameRefused(rendered: Rendered, problems: readonly Problem[], isServing: boolean): boolean {
    const waiting = this.#waiting().map(({ service }) => service);
    let any = this.blame(rendered, problems);
    // Their last good sections are refused too. To empty a service that serves would be worse than to change nothing;
    // where nothing serves, the others shall.
    if (!isServing)
      for (const service of waiting)
        if (problems.some((problem) => problem.service === service)) any = this.#forgetLastGood(service) || any;
    return any;
  }

  /** Whatever went wrong while they were on trial, the others do not wait for them. False when none was. */
  endTrials(): boolean {
    const onTrial = [...this.#held.values()].filter((held) => held.onTrial);
    for (const held of onTrial) this.#hold(held);
    return onTrial.length > 0;
  }

  /** This is live, and with it what was on trial. */
  wentLive({ sections }: Rendered): void {
    this.#lastGood = sections;
    for (const [service, { onTrial }] of this.#held) if (onTrial) this.#held.delete(service);
  }

  /** Commands have changed the servers of these backends, in what runs, while the rest of what is wanted waits or is refused. */
  serversWentLive(running: readonly Section[], backends: readonly string[]): void {
    const changed = new Map(
      withoutOverrides(running.filter(({ kind, name }) => kind === 'backend' && backends.includes(name))).map(
        (each) => [each.name, each],
      ),
    );
    this.#lastGood = this.#lastGood.map((section) =>
      section.kind === 'backend' ? (changed.get(section.name) ?? section) : section,
    );
  }

  /** Those in whose place something else stands. */
  #waiting(): readonly Held[] {
    return [...this.#held.values()].filter(({ onTrial }) => !onTrial);
  }

  /** False when there is nothing to forget. */
  #forgetLastGood(service: string): boolean {
    const before = this.#lastGood;
    this.#lastGood = before.filter((section) => section.service !== service);
    return this.#lastGood.length < before.length;
  }

  #hold(held: Omit<Held, 'retryAt' | 'onTrial'>): void {
    const attempts = held.attempts + 1;
    this.#held.set(held.service, { ...held, attempts, retryAt: this.#now() + backOff(attempts), onTrial: false });
  }
}

export function sameText(a: readonly Section[], b: readonly Section[]): boolean {
  return a.length === b.length && a.every((section, at) => section === b[at] || section.text === b[at]?.text);
}

/** How long what was refused so many times is left alone. */
export function backOff(attempts: number): Ms {
  return Math.min(shortestRetryMs * 2 ** Math.min(attempts - 1, 20), longestRetryMs);
}

function sectionsOf({ sections }: Rendered, service: string): readonly Section[] {
  return sections.filter((section) => section.service === service);
}
