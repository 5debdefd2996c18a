/** A target beside HAProxy: it renders a view of the catalog, and makes the result live. */
import type { AppError } from '../errors.ts';
import type { Endpoint } from '../model.ts';

/** Endpoints by service, as the catalog has them. Lists that did not change are the same objects. */
export type ServiceView = {
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
};

/** A view, with what is not known yet. */
export type CatalogView = ServiceView & {
  /** false: nothing may be rendered yet. */
  readonly open: boolean;
  /** Services without a result that may still get one. */
  readonly pending: { readonly size: number };
};

export type Target<Desired = unknown> = {
  readonly name: string;
  /** Pure: equal views give equal results. Throws an AppError where the view cannot be rendered. */
  render(view: ServiceView): Desired;
  /** Makes `desired` live, unless it is already; where that fails the last good state stays. */
  reconcile(desired: Desired, signal: AbortSignal): Promise<TargetOutcome>;
  /** Whether the result of `reconcile` is still in place; false where somebody else has changed it since. */
  isIntact(): Promise<boolean>;
};

export type TargetOutcome =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'changed' }
  | {
      readonly kind: 'failed';
      readonly step: 'check' | 'write' | 'reload';
      readonly error: AppError;
      /** Equal for failures alike, whatever words a command used for each. */
      readonly key: string;
    };
