/** Endpoints that were admitted before are judged again where the rules may be others. */
import type { Endpoint } from '../model.ts';
import { admit, type Guard } from './admission.ts';
import { equalLists } from './endpoints.ts';

/** Returns the same list where all are admitted. */
export function admitAgain(before: readonly Endpoint[], guard: Guard): readonly Endpoint[] {
  const { endpoints } = admit(before, guard);
  return equalLists(before, endpoints) ? before : endpoints;
}

type Guards = {
  readonly guard: Guard;
  /** Refuses only what must never serve. */
  readonly own: Guard;
};

/** The same; where the rules forbid all of them, all remain that may serve at all: this is doubted as a loss. */
export function admitOrDoubt(before: readonly Endpoint[], { guard, own }: Guards): readonly Endpoint[] {
  const admitted = admitAgain(before, guard);
  return admitted.length === 0 ? admitAgain(before, own) : admitted;
}
