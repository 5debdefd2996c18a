/** All that a running Myelin reports of itself: the code that sees it happen says so, and what people read of it is decided in this room. */
import type { DriverEvent } from '../apply/driver-event.ts';
import type { Collection } from '../catalog/collection.ts';
import type { LeftOut } from '../catalog/report.ts';
import type { Origin } from '../catalog/state.ts';
import type { CertificateState } from '../certificates/certificates.ts';
import type { Config } from '../config/schema.ts';
import type { Drift, ReloadReason, Section, SourceEvent } from '../model.ts';
import type { OutputEvent } from '../outputs/outputs.ts';
import type { OverrideRequest } from '../reconcile/overrides/override-store.ts';
import type { Quarantined } from '../reconcile/quarantine/quarantine.ts';
import type { Reconciled } from '../reconcile/reconcile-queue.ts';

export type Report = (happening: Happening) => void;

export type Happening =
  | {
      readonly kind: 'started';
      readonly version: string;
      readonly config: string;
      readonly watchers: readonly string[];
    }
  | { readonly kind: 'stopped' }
  /** `refused`: what is left out of the event, where some of it was not before; `isNews`: whether it changed anything. */
  | { readonly kind: 'source'; readonly event: SourceEvent; readonly refused: LeftOut; readonly isNews: boolean }
  /** A watcher that was stopped has not ended in time. */
  | { readonly kind: 'watcher_hangs'; readonly watcher: string }
  /** What a new config leaves out of answers that were there already. */
  | { readonly kind: 'refused_by_config'; readonly refused: readonly (Origin & LeftOut)[] }
  | { readonly kind: 'reload_started'; readonly reasons: readonly ReloadReason[] }
  /** One reconcile has ended. */
  | ({ readonly kind: 'reconciled' } & ReconcileContext)
  /** One reconcile came to no end that it knows: nothing was applied, and another one follows. */
  | { readonly kind: 'reconcile_failed'; readonly error: unknown }
  /** Servers are not what they should be. */
  | { readonly kind: 'drift'; readonly drift: readonly Drift[]; readonly isRepaired: boolean }
  | { readonly kind: 'override_set'; readonly override: OverrideRequest }
  | { readonly kind: 'override_ended'; readonly override: Pick<OverrideRequest, 'backend' | 'server'> }
  /** An operator lets kept endpoints go. */
  | { readonly kind: 'accepted'; readonly service: string; readonly endpoints: number }
  /** `waitingFor`: services that the new config waits for; `afterRestart`: keys that count after a restart only. */
  | {
      readonly kind: 'config_read';
      readonly waitingFor: readonly string[];
      readonly afterRestart: readonly string[];
    }
  | { readonly kind: 'config_refused'; readonly reason: string; readonly error: unknown }
  /** A promise that nobody waited for was rejected. */
  | { readonly kind: 'unhandled_rejection'; readonly error: unknown }
  | { readonly kind: 'request_failed'; readonly error: unknown }
  /** The Myelin before this one still listens there. */
  | { readonly kind: 'listen_waits'; readonly error: unknown }
  /** Those of the shared frontends, which may be others than before. */
  | { readonly kind: 'certificates'; readonly certificates: readonly CertificateState[] }
  /** The control socket was removed, and is there again. */
  | { readonly kind: 'socket_restored'; readonly path: string }
  /** A file beside HAProxy's was written, or could not be. */
  | OutputEvent
  /** What happens to HAProxy by itself, and `trouble`: something in the background that does not affect what runs. */
  | DriverEvent;

/** What was known and ran when a result came. */
export type ReconcileContext = Reconciled & {
  /** The newest that is known: results need not come in the order of their catalogs. */
  readonly collection: Pick<Collection, 'catalog' | 'rejected'> & { readonly config: Pick<Config, 'services'> };
  readonly quarantined: readonly Quarantined[];
  /** What runs, where commands can change it; else null. */
  readonly sections: readonly Section[] | null;
};
