/** What happens to HAProxy by itself, for the log and the metrics. */
import type { Ms } from '../model.ts';

export type DriverEvent =
  /** A HAProxy that was already running was recognised. */
  | { readonly kind: 'adopted'; readonly pid: number; readonly generation: number }
  /** The HAProxy of another Myelin has handed its listening sockets over; `folder` is that of this HAProxy. */
  | { readonly kind: 'taken_over'; readonly folder: string }
  /** An address took another form: these frontends did not listen for the moment that this took. */
  | { readonly kind: 'address_moved'; readonly frontends: readonly string[] }
  /** The running HAProxy has ended without an order. */
  | { readonly kind: 'exited'; readonly pid: number; readonly generation: number; readonly words: string }
  /** Somebody other than Myelin ordered the running HAProxy to stop. */
  | { readonly kind: 'stopped_externally'; readonly pid: number; readonly generation: number }
  /** The running HAProxy does not answer, and then does again. */
  | { readonly kind: 'unresponsive'; readonly pid: number; readonly generation: number; readonly error: unknown }
  | { readonly kind: 'responsive'; readonly pid: number; readonly generation: number; readonly silentMs: Ms }
  /** It was asked whether it is alive, and has answered. */
  | { readonly kind: 'haproxy_answered'; readonly tookMs: Ms }
  /** Checks of HAProxy took the last server of a backend; `reason`: of one of its servers, in HAProxy's words. */
  | {
      readonly kind: 'backend_down';
      readonly service: string;
      readonly backend: string;
      readonly servers: number;
      readonly reason: string;
    }
  | { readonly kind: 'backend_down_others'; readonly count: number }
  | { readonly kind: 'backend_up'; readonly service: string; readonly backend: string; readonly downMs: Ms }
  /** The executable on disk differs from the one that runs. */
  | { readonly kind: 'binary_changed'; readonly path: string }
  | { readonly kind: 'old_worker_gone'; readonly pid: number; readonly ageMs: Ms }
  /** A limit that the operator set closed connections; null where it is not known how many. */
  | {
      readonly kind: 'connections_closed';
      readonly limit: 'max_old_workers' | 'hard_stop_after' | 'stop_grace' | 'drain_timeout' | 'on_hang';
      readonly pid: number;
      readonly connections: number | null;
    }
  /** The file on disk was not the proven one and is again. */
  | { readonly kind: 'file_restored'; readonly path: string }
  /** The file on disk is behind what runs, and cannot be written for now. */
  | { readonly kind: 'file_behind'; readonly error: unknown }
  | { readonly kind: 'file_caught_up' }
  /** A background task failed; what runs is not affected. */
  | { readonly kind: 'trouble'; readonly error: unknown };
