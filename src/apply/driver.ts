/** The one shape of everything that makes a rendered config live; `openControl` chooses among the drivers. */
import type { Config } from '../config/schema.ts';
import type { AppError } from '../errors.ts';
import type { Capabilities } from '../haproxy/binary/capabilities.ts';
import type { Version } from '../haproxy/binary/version.ts';
import type { ServerStateRow } from '../haproxy/cli/info.ts';
import type { UnexpectedReply } from '../haproxy/cli/runtime-commands.ts';
import type {
  LeavingServer,
  Moment,
  Ms,
  Plan,
  Problem,
  ReloadReason,
  Rendered,
  RuntimeCommand,
  Section,
} from '../model.ts';
import type { ReloadSlot } from './reload-slot.ts';

/** What is proved to run now. */
export type Running = {
  readonly sections: readonly Section[];
  /** Counts the HAProxies, or the files, that went live. */
  readonly generation: number;
  readonly since: Moment;
  /** null where somebody else starts HAProxy. */
  readonly process: RunningProcess | null;
};

export type RunningProcess = {
  readonly pid: number;
  readonly startTime: string;
  readonly version: Version;
  /**
   * Where it is asked. Only this process answers there, unlike at the stats socket, which is handed on from one to the
   * next; of one that was started elsewhere it is the socket of its master, which hands on what is meant for its PID.
   */
  readonly socket: string;
};

/** What the next command to a process has to reckon with. */
export type RuntimeState = {
  readonly capabilities: Capabilities;
  readonly leaving: readonly LeavingServer[];
  /** What it was started with; null where that is not known. */
  readonly started: readonly Section[] | null;
};

/** A process that takes commands. */
export type CommandedProcess = RuntimeState & {
  /** What runs in it, as far as is known. */
  readonly sections: readonly Section[];
  /** Brings it to `desired` by these commands. Never rejects: where it does not answer it has `failed`. */
  applyCommands(commands: readonly RuntimeCommand[], desired: Rendered): Promise<CommandOutcome>;
};

/** The process that serves, as far as commands can change it and read it. */
export type Runtime = CommandedProcess & {
  /** The processes that were told to leave, as far as they take commands; what they do not take is of no consequence. */
  readonly followers: readonly CommandedProcess[];
  /** The servers of these backends as the process has them. Throws an AppError where it does not answer. */
  readBack(backends: readonly string[]): Promise<ReadonlyMap<string, readonly ServerStateRow[]>>;
  /** What was read back counts as what runs from now on. */
  acceptObserved(observed: Rendered, leaving: readonly LeavingServer[]): void;
};

/** What came of commands. */
export type CommandOutcome =
  | { readonly kind: 'applied'; readonly tookMs: Ms }
  /** It could not be written, started or asked: the old state serves on, and its file is in place again. */
  | { readonly kind: 'failed'; readonly error: AppError; readonly problems: readonly Problem[] }
  /** Some commands had replies that are not known to be good: what runs has to be read back. */
  | { readonly kind: 'unexpected'; readonly replies: readonly UnexpectedReply[] }
  /** Another process has begun to serve meanwhile, or what was planned has become wrong: it is to be planned anew. */
  | { readonly kind: 'superseded' };

export type Outcome =
  | CommandOutcome
  /** `haproxy -c` or the preflight said no: nothing live was touched. */
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

export type OldWorkerView = {
  readonly pid: number;
  readonly generation: number;
  readonly since: Moment;
  /** null where it is not known. */
  readonly connections: number | null;
};

export type Driver = AsyncDisposable & {
  /** Of the executable, which the next config is for; else of what runs; null where neither is known. */
  readonly version: Version | null;
  readonly running: Running | null;
  /** Why what runs must be replaced although its text may be the wanted one; empty: no such reason. */
  readonly forced: readonly ReloadReason[];
  readonly oldWorkers: readonly OldWorkerView[];
  /** null where nothing serves, or what serves takes no commands, so that every change is a reload. */
  readonly runtime: Runtime | null;
  /** Why, and since when, the file on disk is behind what runs; null: it is not, or no longer than it may be. */
  readonly fileTrouble: { readonly reason: string; readonly since: Moment } | null;
  /** Why, and since when, the process that serves does not answer, as one that hangs; null: it does, or none serves. */
  readonly unresponsive: { readonly reason: string; readonly since: Moment } | null;
  /** The file as it was found at the start, where nothing of ours was running: what a cold start serves. */
  readonly found: readonly Section[] | null;
  /** Takes over a new config, in which `control` and where the files are is as it was at the start. */
  use(config: DriverOptions['config']): void;
  /** When the reload that has been wanted `since` then may start, and what it waits for. */
  reloadAt(wanted: Rendered, since: Moment): ReloadSlot;
  /**
   * With plan `none` only the file on disk is seen to. One at a time, but for commands while a reload is under way: they
   * go to the process that still serves (`runtime`).
   */
  apply(wanted: Rendered, plan: Plan, signal: AbortSignal): Promise<Outcome>;
  /**
   * Whether HAProxy would take it at its next start, as far as that can be asked here; nothing becomes of it. Throws an
   * AppError where it cannot be written or asked.
   */
  check(wanted: Rendered, signal: AbortSignal): Promise<readonly Problem[]>;
  /** Ends everything that Myelin started: softly, then after `stopGrace` for good. */
  stop(): Promise<void>;
};

/** What happens by itself, for the log and the metrics. */
export type DriverEvent =
  /** A HAProxy that was already running was recognised. */
  | { readonly kind: 'adopted'; readonly pid: number; readonly generation: number }
  /** The HAProxy of another Myelin has handed its listening sockets over; `folder` is that of this HAProxy. */
  | { readonly kind: 'taken_over'; readonly folder: string }
  /** An address took another form: these frontends did not listen for the moment that this took. */
  | { readonly kind: 'address_moved'; readonly frontends: readonly string[] }
  /** The running HAProxy is gone though nobody told it to. */
  | { readonly kind: 'exited'; readonly pid: number; readonly generation: number; readonly words: string }
  /** The running HAProxy was told to leave, and not by Myelin. */
  | { readonly kind: 'dismissed'; readonly pid: number; readonly generation: number }
  /** The running HAProxy does not answer, and then does again. */
  | { readonly kind: 'unresponsive'; readonly pid: number; readonly generation: number; readonly error: unknown }
  | { readonly kind: 'responsive'; readonly pid: number; readonly generation: number; readonly silentMs: Ms }
  /** The executable is another one than that which runs. */
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
  /** A task beside the way of a change failed; what runs is not affected. */
  | { readonly kind: 'trouble'; readonly error: unknown };

export type DriverOptions = {
  readonly config: Pick<Config, 'haproxy' | 'reload' | 'state' | 'file' | 'drainTimeout' | 'drift'>;
  /** Something changed that asks for a reconcile: HAProxy ended, its executable changed, an old worker is gone. */
  readonly onChange: () => void;
  readonly onEvent: (event: DriverEvent) => void;
  /**
   * null: what is wanted may take the place of what another Myelin has wanted; else why it may not, as where nothing is
   * known to serve.
   */
  readonly whyNoTakeover: () => string | null;
  /** PATH and what HAProxy's own config may refer to. */
  readonly env: NodeJS.ProcessEnv;
  readonly now?: () => Moment;
  readonly random?: () => number;
};
