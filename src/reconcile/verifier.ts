/**
 * Proves that what runs is what was wanted: the backends that commands have touched are read back at once, all of them
 * after a reload and in rotation. What is found goes into what is believed to run, and the next plan sets it right.
 */
import type { Runtime } from '../apply/driver.ts';
import type { Drift, Moment, Ms, ReloadReason, RuntimeCommand, Section } from '../model.ts';
import { type Finding, findDrift, type Observed } from '../plan/drift.ts';
import { VerifiedSections } from './verified.ts';

export type VerifySettings = {
  readonly verifyInterval: Ms;
  readonly drift: 'repair' | 'report';
};

export type Verification = {
  /** What was found now. */
  readonly drift: readonly Drift[];
  /** What was set right before and is as it was again: only a reload can help. */
  readonly reasons: readonly ReloadReason[];
};

/** From HAProxy 2.9 on a new address takes effect a moment after the reply. */
const settleMs: Ms = 50;
const backendsAtOnce = 100;
const retryMs: Ms = 1000;

export class Verifier {
  readonly #settings: () => VerifySettings;
  /** Backends that are to be looked at, and when. */
  readonly #due = new Map<string, Moment>();
  /** `backend/server` → when it was given a new address. */
  readonly #addressed = new Map<string, Moment>();
  /** What was set right and not looked at since. */
  #repaired: ReadonlySet<string> = new Set();
  /** What was found at the last look and is left as it is. */
  #reported: ReadonlyMap<string, readonly Drift[]> = new Map();
  readonly #proven = new VerifiedSections();
  #round: readonly string[] = [];
  #roundAt: Moment = 0;

  constructor(settings: () => VerifySettings) {
    this.#settings = settings;
  }

  /** Drift that stands, because it is only to be reported. */
  get reported(): readonly Drift[] {
    return [...this.#reported.values()].flat();
  }

  touched(commands: readonly RuntimeCommand[], now: Moment): void {
    for (const { kind, backend, server } of commands) {
      if (kind === 're-address') this.#addressed.set(`${backend}/${server}`, now);
      if (!this.#due.has(backend)) this.#due.set(backend, now + settleMs);
    }
  }

  /** These as soon as may be. */
  soon(backends: Iterable<string>, now: Moment): void {
    for (const backend of backends) this.#due.set(backend, now);
  }

  /** Another process runs: nothing of it has been looked at. */
  everything(running: readonly Section[], now: Moment): void {
    this.#repaired = new Set();
    this.#reported = new Map();
    this.#proven.clear();
    this.soon(backendsOf(running), now + settleMs);
  }

  /** When there is something to look at; null where nothing of ours runs. */
  next(running: readonly Section[] | null): Moment | null {
    if (running === null) return null;
    let next = this.#roundAt;
    for (const at of this.#due.values()) next = Math.min(next, at);
    return next;
  }

  /** Looks at what is due by now, or at the part of it that is done at once. Throws an AppError where nobody answers. */
  async verify(runtime: Runtime, running: readonly Section[], now: Moment): Promise<Verification> {
    const backends = this.#take(running, now);
    try {
      return await this.look(runtime, running, backends, now);
    } catch (error) {
      // Nothing of it was seen: it is to be looked at all the same.
      for (const backend of backends) this.#due.set(backend, now + retryMs);
      throw error;
    }
  }

  /** Looks at these. Throws an AppError where nobody answers. */
  async look(
    runtime: Runtime,
    running: readonly Section[],
    backends: readonly string[],
    now: Moment,
  ): Promise<Verification> {
    if (backends.length === 0) return nothingFound;
    const said = await runtime.readBack(backends);
    const unsettled = this.#unsettled(now);
    const finding = this.#compare(running, { servers: said, leaving: runtime.leaving, unsettled });
    const { drift } = finding;
    if (this.#settings().drift === 'report') {
      this.#report(backends, drift);
      runtime.acceptObserved({ sections: running }, finding.leaving);
      return { drift, reasons: [] };
    }
    this.#reported = new Map();
    if (drift.length + finding.leaving.length > 0) runtime.acceptObserved(finding, finding.leaving);
    const again = drift.filter((each) => this.#repaired.has(keyOf(each)));
    const others = [...this.#repaired].filter((key) => {
      const [backend = ''] = key.split('/');
      const [server = ''] = key.split(' ');
      return !backends.includes(backend) || unsettled.has(server);
    });
    this.#repaired = new Set([...others, ...drift.map(keyOf)]);
    for (const { backend } of drift) this.#due.set(backend, now + settleMs);
    const reasons = again.map(({ backend, server, kind }): ReloadReason => {
      return { code: 'drift_unrepairable', section: `backend ${backend}`, detail: `${kind} of ${server}` };
    });
    return { drift, reasons };
  }

  #compare(running: readonly Section[], { servers: said, leaving, unsettled }: Observed): Finding {
    // Where more than the section and what is said of it counts, all of it is compared.
    const isPlain = leaving.length + unsettled.size === 0;
    const servers = isPlain ? this.#proven.news(said, running) : said;
    const finding = findDrift(running, { servers, leaving, unsettled });
    if (!isPlain) return finding;
    const notAsWanted = [...finding.drift, ...finding.leaving].map(({ backend }) => backend);
    const right = new Map([...servers].filter(([backend]) => !notAsWanted.includes(backend)));
    this.#proven.add(right, running);
    return finding;
  }

  /** What is due, and of the rotation as much as its turn is. */
  #take(running: readonly Section[], now: Moment): readonly string[] {
    if (now >= this.#roundAt) {
      if (this.#round.length === 0) this.#round = backendsOf(running);
      const rounds = Math.max(1, Math.ceil(backendsOf(running).length / backendsAtOnce));
      const stepMs = this.#settings().verifyInterval / rounds;
      // What is late by less than a step is made up for, so that a round takes no longer than it may.
      this.#roundAt = Math.max(this.#roundAt, now - stepMs) + stepMs;
      this.soon(this.#round.slice(0, backendsAtOnce), now);
      this.#round = this.#round.slice(backendsAtOnce);
    }
    const due = [...this.#due].filter(([, at]) => at <= now).map(([backend]) => backend);
    const backends = due.slice(0, backendsAtOnce);
    for (const backend of backends) this.#due.delete(backend);
    return backends;
  }

  #unsettled(now: Moment): ReadonlySet<string> {
    for (const [server, at] of this.#addressed) if (now - at >= settleMs) this.#addressed.delete(server);
    // They are looked at again once it must have taken effect.
    for (const [server, at] of this.#addressed) this.#due.set(server.split('/')[0] ?? '', at + settleMs);
    return new Set(this.#addressed.keys());
  }

  #report(backends: readonly string[], drift: readonly Drift[]): void {
    const found = Map.groupBy(drift, ({ backend }) => backend);
    const others = [...this.#reported].filter(([backend]) => !backends.includes(backend));
    this.#reported = new Map([...others, ...found]);
  }
}

const nothingFound: Verification = { drift: [], reasons: [] };

/** All of ours, in parts of what is looked at in one go. */
export function partsOf(sections: readonly Section[]): readonly (readonly string[])[] {
  const backends = backendsOf(sections);
  const parts: (readonly string[])[] = [];
  for (let at = 0; at < backends.length; at += backendsAtOnce) parts.push(backends.slice(at, at + backendsAtOnce));
  return parts;
}

function backendsOf(sections: readonly Section[]): readonly string[] {
  return sections.flatMap(({ kind, name, service }) => (kind === 'backend' && service !== null ? [name] : []));
}

function keyOf({ backend, server, kind }: Drift): string {
  return `${backend}/${server} ${kind}`;
}
