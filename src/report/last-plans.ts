/** The last plans that were carried out, as people read them: what was to change, and how it was done. */
import { maskLines } from '../config/read/mask.ts';
import type { Ms, ReloadReason, Section, Timestamp } from '../model.ts';
import type { diff } from '../plan/printed-diff.ts';
import { few } from './facts.ts';
import type { Happening } from './happenings.ts';

export type AppliedPlan = {
  readonly at: Timestamp;
  readonly result: 'runtime' | 'reload';
  /** Why it took a reload. */
  readonly reasons: readonly ReloadReason[];
  /** How many runtime commands there were; 0: it was a reload. */
  readonly commands: number;
  readonly tookMs: Ms;
  /** What differs in HAProxy's files, section by section; null: nothing ran before. */
  readonly diff: string | null;
};

/** Of each kind: a reload is not forgotten because servers come and go. */
const mostKept = 10;

/** Of a diff: a new template may change everything. */
const mostLines = 400;

/** Sections are never changed, so what differs is found out when somebody asks, once. */
type Change =
  | { readonly before: readonly Section[]; readonly after: readonly Section[] }
  | { readonly diff: string | null };

type Kept = { readonly plan: Omit<AppliedPlan, 'diff'>; readonly change: Change };

export class LastPlans {
  readonly #now: () => Timestamp;
  #kept: readonly Kept[] = [];
  #sections: readonly Section[] = [];

  constructor(now: () => Timestamp) {
    this.#now = now;
  }

  note(happening: Happening): void {
    if (happening.kind !== 'reconciled' || happening.sections === null) return;
    const { result, sections, tookMs } = happening;
    const before = this.#sections;
    this.#sections = sections;
    if (result.kind !== 'runtime' && result.kind !== 'reload') return;
    const plan = {
      at: this.#now(),
      result: result.kind,
      reasons: result.kind === 'reload' ? few(result.reasons).list : [],
      commands: result.kind === 'runtime' ? result.commands : 0,
      tookMs,
    };
    const ofKind = this.#kept.filter((each) => each.plan.result === plan.result);
    const oldest = ofKind.length < mostKept ? null : ofKind[0];
    this.#kept = [...this.#kept.filter((each) => each !== oldest), { plan, change: { before, after: sections } }];
  }

  /** The newest first. */
  async list(): Promise<readonly AppliedPlan[]> {
    // Loaded for those who look at plans.
    const compare = (await import('../plan/printed-diff.ts')).diff;
    const compared = this.#kept.map(({ plan, change }) => ({ plan, change: { diff: differenceOf(change, compare) } }));
    this.#kept = compared;
    return compared.map(({ plan, change }) => ({ ...plan, ...change })).reverse();
  }
}

function differenceOf(change: Change, compare: typeof diff): string | null {
  if ('diff' in change) return change.diff;
  return change.before.length === 0 ? null : difference(change.before, change.after, compare);
}

/** Of thousands of sections those that are the same value in both need not be compared. */
function difference(before: readonly Section[], after: readonly Section[], compare: typeof diff): string {
  const [old, now] = [new Set(before), new Set(after)];
  const text = maskLines(
    compare(
      before.filter((section) => !now.has(section)),
      after.filter((section) => !old.has(section)),
    ),
  );
  const lines = text.split('\n');
  const more = lines.length - mostLines;
  return more <= 0 ? text : `${lines.slice(0, mostLines).join('\n')}\n  … ${more} more lines\n`;
}
