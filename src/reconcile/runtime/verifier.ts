/**
 * Verifies that what runs is what was desired. What commands have touched is read back at once; everything is read back
 * after a reload, and in rotation. What is found counts as what runs from then on, and the next plan repairs it.
 */
import type { Runtime, SeenByKind } from '../../apply/driver.ts';
import { ownerOfLeaving, ownersIn, resources } from '../../haproxy/resources/index.ts';
import type { Circumstances, Finding, Findings, Owner, Resource, Seen } from '../../haproxy/resources/resource.ts';
import type { Drift, Leaving, Moment, Ms, ReloadReason, Rendered } from '../../model.ts';
import { VerifiedParts } from './verified-parts.ts';
import { type Due, ownersAtOnce, VerifySchedule } from './verify-schedule.ts';

type Mode = 'repair' | 'report';

export type VerifySettings = {
  readonly verifyInterval: Ms;
  readonly drift: Mode;
};

export type Verification = {
  /** What was found now. */
  readonly drift: readonly Drift[];
  /** For drift that was repaired and is there again: only a reload can help. */
  readonly reasons: readonly ReloadReason[];
};

/** What was found of an owner when it was last read back; by mode it is repaired or left as it is. */
type LastFindings = { readonly mode: Mode; readonly findings: readonly Finding[] };

/** `concerned`: owners that other circumstances matter to, so that what was verified before says nothing. */
type Surroundings = Circumstances & { readonly concerned: ReadonlySet<Owner> };

export class Verifier {
  readonly #settings: () => VerifySettings;
  /** What is to be read back, and when. */
  readonly schedule: VerifySchedule;
  readonly #verified = new Map(resources.map(({ kind }) => [kind, new VerifiedParts()]));
  #lastFindings: ReadonlyMap<Owner, LastFindings> = new Map();

  constructor(settings: () => VerifySettings) {
    this.#settings = settings;
    this.schedule = new VerifySchedule(() => settings().verifyInterval);
  }

  /** Drift that stands, because it is only to be reported. */
  get reported(): readonly Drift[] {
    if (this.#settings().drift === 'repair') return [];
    return [...this.#lastFindings.values()]
      .flatMap(({ mode, findings }) => (mode === 'report' ? findings : []))
      .map(driftOf);
  }

  /** Another process runs: nothing of it has been read back. */
  everything(running: Rendered, now: Moment): void {
    this.#lastFindings = new Map();
    for (const verified of this.#verified.values()) verified.clear();
    this.schedule.everything(running, now);
  }

  /** Reads back what is due by now, or what is read of it in one go. Throws an AppError where HAProxy does not answer. */
  async verify(runtime: Runtime, now: Moment): Promise<Verification> {
    const due = this.schedule.take(runtime.running, now);
    try {
      return await this.readBack(runtime, due, now);
    } catch (error) {
      // HAProxy did not answer: these stay due.
      this.schedule.retry(due, now);
      throw error;
    }
  }

  /** Reads these back. Throws an AppError where HAProxy does not answer. */
  async readBack(runtime: Runtime, { owners, rotation, touched }: Due, now: Moment): Promise<Verification> {
    if (owners.length === 0) return { drift: [], reasons: [] };
    // Taken when HAProxy is queried: a removed server may be deleted before the result is compared.
    const { running: expected, leaving: known } = runtime;
    // What was found wrong before may be wrong elsewhere than what was touched.
    const alone = new Map([...touched].filter(([owner]) => !this.#lastFindings.has(owner)));
    const seen = await runtime.observe(owners, rotation, alone);
    const unsettled = this.schedule.unsettled(now);
    const concerned = new Set([...known.map(ownerOfLeaving), ...unsettled.values()]);
    const { findings, running, leaving } = this.#compare(expected, seen, { leaving: known, unsettled, concerned });
    this.schedule.seen(owners);
    const { drift: mode } = this.#settings();
    const before = this.#lastFindings;
    this.#remember(owners, { mode, findings }, unsettled);
    const drift = findings.map(driftOf);
    // Drift that is only reported must not be planned away.
    if (mode === 'report') {
      runtime.acceptObserved(expected, leaving);
      return { drift, reasons: [] };
    }
    if (findings.length + leaving.length > 0) runtime.acceptObserved(running, leaving);
    this.schedule.again(new Set(findings.map(({ owner }) => owner)), now);
    const again = findings.filter((finding) => wasRepaired(before.get(finding.owner), finding));
    return {
      drift,
      reasons: again.map(({ owner, what }) => ({ code: 'drift_unrepairable', section: owner, detail: what })),
    };
  }

  #compare(
    before: Rendered,
    seen: SeenByKind,
    circumstances: Surroundings,
  ): Pick<Findings, 'findings' | 'running'> & { readonly leaving: readonly Leaving[] } {
    let running = before;
    const findings: Finding[] = [];
    const leaving: (readonly Leaving[])[] = [];
    for (const resource of resources) {
      const its = this.#compareOf(resource, running, seen.get(resource.kind) ?? new Map(), circumstances);
      running = its.running;
      for (const finding of its.findings) findings.push(finding);
      for (const some of its.leaving.values()) leaving.push(some);
    }
    return { findings, running, leaving: leaving.flat() };
  }

  #compareOf(
    resource: Resource,
    running: Rendered,
    seen: ReadonlyMap<Owner, Seen>,
    circumstances: Surroundings,
  ): Findings {
    const { concerned } = circumstances;
    const parts = resource.parts(running, seen.keys());
    const its = new Map([...seen].filter(([owner]) => parts.has(owner)));
    const verified = this.#verified.get(resource.kind);
    const news = verified?.news(its, parts, concerned) ?? its;
    const found = resource.drift(running, news, circumstances);
    const wrong = new Set([...concerned, ...found.findings.map(({ owner }) => owner), ...found.leaving.keys()]);
    verified?.add(new Map([...news].filter(([owner]) => !wrong.has(owner))), parts);
    return found;
  }

  #remember(
    owners: readonly Owner[],
    { mode, findings }: LastFindings,
    unsettled: Pick<ReadonlySet<string>, 'has'>,
  ): void {
    const byOwner = Map.groupBy(findings, ({ owner }) => owner);
    const last = new Map(this.#lastFindings);
    // What is read together was read of others as well.
    const asked = new Set(owners);
    for (const [owner, its] of byOwner)
      if (!asked.has(owner)) last.set(owner, { mode, findings: [...(last.get(owner)?.findings ?? []), ...its] });
    for (const owner of owners) {
      const before = last.get(owner);
      last.delete(owner);
      // A change that has not taken effect yet was not compared.
      const open = before?.mode === mode ? before.findings.filter(({ identity }) => unsettled.has(identity)) : [];
      const all = [...open, ...(byOwner.get(owner) ?? [])];
      if (all.length > 0) last.set(owner, { mode, findings: all });
    }
    this.#lastFindings = last;
  }
}

/** All owners, in parts that are read back in one go. */
export function roundOf(running: Rendered): readonly Due[] {
  const all = ownersIn(running);
  const parts: Due[] = [];
  for (let at = 0; at < all.length; at += ownersAtOnce) {
    const owners = all.slice(at, at + ownersAtOnce);
    parts.push({ owners, rotation: { isNewRound: at === 0, rotated: new Set(owners) }, touched: new Map() });
  }
  return parts;
}

function driftOf({ drift }: Finding): Drift {
  return drift;
}

function wasRepaired(before: LastFindings | undefined, { what }: Finding): boolean {
  return before?.mode === 'repair' && before.findings.some((other) => other.what === what);
}
