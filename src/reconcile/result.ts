/** The result of a reconcile. */
import type { AppError } from '../errors.ts';
import { ownerOf } from '../haproxy/resources/index.ts';
import type { Owner } from '../haproxy/resources/resource.ts';
import type { Moment, Ms, Problem, ReloadReason, RuntimeCommand } from '../model.ts';

export type Result =
  /** What runs is what is wanted. */
  | { readonly kind: 'noop' }
  | RuntimeResult
  | { readonly kind: 'reload'; readonly reasons: readonly ReloadReason[]; readonly tookMs: Ms }
  /** A reload is to be done, but not before `at`. */
  | {
      readonly kind: 'pending';
      readonly reasons: readonly ReloadReason[];
      readonly because: string;
      readonly at: Moment;
    }
  /** The next reconcile, which follows at once, does the rest. */
  | { readonly kind: 'postponed' }
  /** HAProxy or the preflight refuses the config and no service is at fault: what runs stays as it is. */
  | { readonly kind: 'rejected'; readonly problems: readonly Problem[]; readonly at: Moment }
  /** The config could not be written or started: what runs stays as it is. */
  | {
      readonly kind: 'failed';
      readonly error: AppError;
      readonly reasons: readonly ReloadReason[];
      readonly at: Moment;
    };

/** The owners that commands have changed, and the number of commands. */
export type RuntimeResult = {
  readonly kind: 'runtime';
  readonly commands: number;
  readonly owners: readonly Owner[];
  readonly tookMs: Ms;
};

export function runtimeResult(commands: readonly RuntimeCommand[], tookMs: Ms): RuntimeResult {
  return { kind: 'runtime', commands: commands.length, owners: [...new Set(commands.map(ownerOf))], tookMs };
}
