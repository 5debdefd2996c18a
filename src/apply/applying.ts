/** What every driver does around an apply: what is thrown becomes an outcome, and the policy remembers how a reload went. */
import type { Moment, Plan, Section } from '../model.ts';
import type { Outcome } from './driver.ts';
import { asAppError, emptyConfig } from './problems.ts';
import type { ReloadPolicy } from './reload-policy.ts';
import { isBlank } from './sections.ts';

type Applying = {
  readonly sections: readonly Section[];
  readonly plan: Plan;
  readonly policy: ReloadPolicy;
  /** Nothing runs yet. */
  readonly isStart: boolean;
  readonly now: () => Moment;
  readonly signal: AbortSignal;
};

/** Throws only where `signal` has aborted. */
export async function applying(
  { sections, plan, policy, isStart, now, signal }: Applying,
  attempt: () => Promise<Outcome>,
): Promise<Outcome> {
  const startedAt = performance.now();
  const outcome = isBlank(sections) ? nothingToDo : await attempt().catch((error: unknown) => failed(error, signal));
  if (plan.kind === 'reload' && outcome.kind !== 'superseded') {
    if (outcome.kind === 'applied') policy.succeeded(now(), { isStart });
    else policy.failed(sections, now());
  }
  return outcome.kind === 'applied' ? { ...outcome, tookMs: performance.now() - startedAt } : outcome;
}

const nothingToDo: Outcome = { kind: 'refused', problems: [emptyConfig] };

function failed(error: unknown, signal: AbortSignal): Outcome {
  if (signal.aborted) throw signal.reason;
  return { kind: 'failed', error: asAppError(error), problems: [] };
}
