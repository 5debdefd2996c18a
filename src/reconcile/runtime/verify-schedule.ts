/** What is to be read back, and when: what commands have changed at once, all of a new process, the rest in rotation. */
import type { Rotation } from '../../apply/driver.ts';
import { ownerOf, ownersIn, resourceOf } from '../../haproxy/resources/index.ts';
import type { Owner, Touched } from '../../haproxy/resources/resource.ts';
import type { Moment, Ms, Rendered, RuntimeCommand } from '../../model.ts';

/** How long after its reply a late command has taken effect. */
const effectMs: Ms = 50;
export const ownersAtOnce = 100;
const retryMs: Ms = 1000;

/** What is to be read back now. */
export type Due = {
  readonly owners: readonly Owner[];
  readonly rotation: Rotation;
  /** Those that are due because of these commands alone. */
  readonly touched: Touched;
};

type Late = { readonly owner: Owner; readonly at: Moment };

export class VerifySchedule {
  readonly #verifyInterval: () => Ms;
  readonly #due = new Map<Owner, Moment>();
  /** Late commands, by identity, which may not have taken effect yet. */
  readonly #late = new Map<string, Late>();
  /** Owners that were not read back since `everything`. */
  readonly #unseen = new Set<Owner>();
  /** Owners that are due although nothing was done to them. */
  readonly #rotated = new Set<Owner>();
  /** Owners that are due because of these commands alone. */
  readonly #touched = new Map<Owner, RuntimeCommand[]>();
  #isNewRound = false;
  #round: readonly Owner[] = [];
  /** Between two steps of the round. */
  #stepMs: Ms = 0;
  #roundAt: Moment = 0;

  constructor(verifyInterval: () => Ms) {
    this.#verifyInterval = verifyInterval;
  }

  touched(commands: readonly RuntimeCommand[], now: Moment): void {
    for (const command of commands) {
      const resource = resourceOf(command);
      const owner = ownerOf(command);
      if (resource.isLate(command)) this.#late.set(resource.identity(command), { owner, at: now });
      // What is due as a whole already stays so.
      const its = this.#due.has(owner) ? this.#touched.get(owner) : [];
      its?.push(command);
      this.#dueAt(owner, now + effectMs);
      if (its !== undefined) this.#touched.set(owner, its);
    }
  }

  /** Schedules these owners as soon as possible. */
  soon(owners: Iterable<Owner>, now: Moment): void {
    for (const owner of owners) this.#dueAt(owner, now);
  }

  /** Schedules these owners for when late commands, or a repair, must have taken effect. */
  again(owners: Iterable<Owner>, now: Moment): void {
    this.soon(owners, now + effectMs);
  }

  /** Schedules these again, a while after HAProxy did not answer. */
  retry({ owners, rotation }: Due, now: Moment): void {
    this.soon(owners, now + retryMs);
    for (const owner of rotation.rotated) this.#rotated.add(owner);
    this.#isNewRound ||= rotation.isNewRound;
  }

  /** Another process runs: nothing of it has been read back. */
  everything(running: Rendered, now: Moment): void {
    const owners = ownersIn(running);
    this.#isNewRound = true;
    for (const owner of owners) this.#rotate(owner, now + effectMs);
    this.#unseen.clear();
    for (const owner of owners) this.#unseen.add(owner);
  }

  seen(owners: Iterable<Owner>): void {
    for (const owner of owners) this.#unseen.delete(owner);
  }

  get isAllSeen(): boolean {
    return this.#unseen.size === 0;
  }

  /** When the next owner is due. */
  get next(): Moment {
    let next = this.#roundAt;
    for (const at of this.#due.values()) next = Math.min(next, at);
    return next;
  }

  /** The owners that are due, then the next ones of the rotation; at most as many as are read back in one go. */
  take(running: Rendered, now: Moment): Due {
    if (now >= this.#roundAt) {
      if (this.#round.length === 0) {
        this.#round = ownersIn(running);
        this.#isNewRound = true;
        this.#stepMs = this.#verifyInterval() / Math.max(1, Math.ceil(this.#round.length / ownersAtOnce));
      }
      const stepMs = this.#stepMs;
      // Makes up for a delay of less than a step, so that a round keeps its time.
      this.#roundAt = Math.max(this.#roundAt, now - stepMs) + stepMs;
      for (const owner of this.#round.slice(0, ownersAtOnce)) this.#rotate(owner, now);
      this.#round = this.#round.slice(ownersAtOnce);
    }
    const due = [...this.#due].filter(([, at]) => at <= now).map(([owner]) => owner);
    const owners = due.slice(0, ownersAtOnce);
    const rotated = new Set<Owner>();
    const touched = new Map<Owner, readonly RuntimeCommand[]>();
    for (const owner of owners) {
      const its = this.#touched.get(owner);
      if (its !== undefined) touched.set(owner, its);
      this.#touched.delete(owner);
      this.#due.delete(owner);
      if (this.#rotated.delete(owner)) rotated.add(owner);
    }
    const rotation = { isNewRound: this.#isNewRound && owners.length > 0, rotated };
    if (rotation.isNewRound) this.#isNewRound = false;
    return { owners, rotation, touched };
  }

  /** The owners of changes that may not have taken effect yet, by identity; they are read again once they must have. */
  unsettled(now: Moment): ReadonlyMap<string, Owner> {
    for (const [identity, { at }] of this.#late) if (now - at >= effectMs) this.#late.delete(identity);
    for (const { owner, at } of this.#late.values()) this.#dueAt(owner, at + effectMs);
    return new Map([...this.#late].map(([identity, { owner }]) => [identity, owner]));
  }

  #rotate(owner: Owner, at: Moment): void {
    const isTouched = this.#due.has(owner) && !this.#rotated.has(owner);
    this.#dueAt(owner, at);
    if (!isTouched) this.#rotated.add(owner);
  }

  /** An earlier due time stays. */
  #dueAt(owner: Owner, at: Moment): void {
    this.#rotated.delete(owner);
    this.#touched.delete(owner);
    this.#due.set(owner, Math.min(at, this.#due.get(owner) ?? at));
  }
}
