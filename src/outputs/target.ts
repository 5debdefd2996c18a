/** What a view of the catalog is brought to, beside HAProxy: a target makes something of it, and makes that so. */
import type { AppError } from '../errors.ts';
import type { Endpoint } from '../model.ts';

/** Who serves, by service, as the catalog sees it. Lists that did not change are the same objects. */
export type ServiceView = {
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
};

/** With what is not known yet. */
export type CatalogView = ServiceView & {
  /** Closed: nothing is to be rendered yet. */
  readonly open: boolean;
  /** Services of which nobody has said yet who serves them, and somebody may. */
  readonly pending: { readonly size: number };
};

export type Target<Desired = unknown> = {
  readonly name: string;
  /** Pure: the same view gives the same. Throws an AppError where it cannot be made. */
  render(view: ServiceView): Desired;
  /** Makes it so, unless it is so already; what was good stays where that fails. */
  reconcile(desired: Desired, signal: AbortSignal): Promise<TargetOutcome>;
  /** Whether what `reconcile` made is still in place; false where somebody else has changed it since. */
  isIntact(): Promise<boolean>;
};

export type TargetOutcome =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'changed' }
  | {
      readonly kind: 'failed';
      readonly step: 'check' | 'write' | 'reload';
      readonly error: AppError;
      /** The same for failures alike, whatever words a command has found for each. */
      readonly key: string;
    };
