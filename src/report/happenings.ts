/** All events that a running Myelin reports. `report/` decides what people read of them. */
import type { DriverEvent } from '../apply/driver-event.ts';
import type { Collection } from '../catalog/collection.ts';
import type { LeftOut } from '../catalog/report.ts';
import type { Origin } from '../catalog/state.ts';
import type { CaFileState } from '../certificates/ca-files.ts';
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
  | { readonly kind: 'stopped'; readonly haproxy: { readonly pid: number; readonly binds: readonly string[] } | null }
  /** `refused`: what is left out of the result, if some of it is new; `isNews`: whether the result changed anything. */
  | { readonly kind: 'source'; readonly event: SourceEvent; readonly refused: LeftOut; readonly isNews: boolean }
  /** A stopped watcher did not end in time. */
  | { readonly kind: 'watcher_hangs'; readonly watcher: string }
  /** What a new config leaves out of results that were received before. */
  | { readonly kind: 'refused_by_config'; readonly refused: readonly (Origin & LeftOut)[] }
  | { readonly kind: 'reload_started'; readonly reasons: readonly ReloadReason[] }
  /** A reconcile ended. */
  | ({ readonly kind: 'reconciled' } & ReconcileContext)
  /** A reconcile threw an unexpected error: nothing was applied, and another reconcile follows. */
  | { readonly kind: 'reconcile_failed'; readonly error: unknown }
  /** Servers differ from their desired state. */
  | { readonly kind: 'drift'; readonly drift: readonly Drift[]; readonly isRepaired: boolean }
  | { readonly kind: 'override_set'; readonly override: OverrideRequest }
  | { readonly kind: 'override_ended'; readonly override: Pick<OverrideRequest, 'backend' | 'server'> }
  /** An operator accepts that retained endpoints are removed. */
  | { readonly kind: 'accepted'; readonly service: string; readonly endpoints: number }
  /** `waitingFor`: services that the new config waits for; `afterRestart`: keys that take effect after a restart. */
  | {
      readonly kind: 'config_read';
      readonly waitingFor: readonly string[];
      readonly afterRestart: readonly string[];
    }
  | { readonly kind: 'config_refused'; readonly reason: string; readonly error: unknown }
  /** A promise without a handler was rejected. */
  | { readonly kind: 'unhandled_rejection'; readonly error: unknown }
  | { readonly kind: 'request_failed'; readonly error: unknown }
  /** The previous Myelin still listens at the address. */
  | { readonly kind: 'listen_waits'; readonly error: unknown }
  /** The certificates of the shared frontends and the CA certificates, which may have changed. */
  | {
      readonly kind: 'certificates';
      readonly certificates: readonly CertificateState[];
      readonly caFiles: readonly CaFileState[];
    }
  /** The control socket was removed, and was created again. */
  | { readonly kind: 'socket_restored'; readonly path: string }
  /** An output was written, or could not be written. */
  | OutputEvent
  /** What happens to HAProxy by itself, and `trouble`: a background failure that does not affect what runs. */
  | DriverEvent;

/** The catalog and the live sections when a result came. */
export type ReconcileContext = Reconciled & {
  /** The newest known state: results need not come in the order of their catalogs. */
  readonly collection: Pick<Collection, 'catalog' | 'rejected'> & { readonly config: Pick<Config, 'services'> };
  readonly quarantined: readonly Quarantined[];
  /** The live sections, where commands can change them; else null. */
  readonly sections: readonly Section[] | null;
};
