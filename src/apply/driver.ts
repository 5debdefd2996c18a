/**
 * The types of drivers, which make a rendered config live. A `Driver` knows one way to start HAProxy; a `ManagedDriver`
 * (`managed-driver.ts`) wraps it for all other code, and adds what every driver needs.
 */
import type { Config } from '../config/schema.ts';
import type { AppError } from '../errors.ts';
import type { Version } from '../haproxy/binary/version.ts';
import type { BackendHealth } from '../haproxy/cli/stats.ts';
import type { Owner, RuntimeState, Seen, Touched, UnexpectedReply } from '../haproxy/resources/resource.ts';
import type { ConfigFile } from '../lib/files/config-file.ts';
import type { Polling } from '../lib/time/poll.ts';
import type { Leaving, Moment, Ms, Plan, Problem, ReloadReason, Rendered, RuntimeCommand, Section } from '../model.ts';
import type { DriverEvent } from './driver-event.ts';
import type { ReloadPolicy, ReloadSlot } from './reload-policy.ts';
import type { Worker } from './runtime/worker.ts';
import type { Generation } from './state/generation.ts';
import type { ReadyRecord } from './state/records.ts';

/** A HAProxy that Myelin started has ended by itself. */
export type Crash = { readonly sections: readonly Section[]; readonly since: Moment; readonly at: Moment };

/** What is known to run now. */
export type Running = {
  readonly sections: readonly Section[];
  /** Counts the HAProxies, or the files, that went live. */
  readonly generation: number;
  readonly since: Moment;
  /** null where Myelin does not start HAProxy. */
  readonly process: RunningProcess | null;
};

type RunningProcess = {
  readonly pid: number;
  readonly startTime: string;
  readonly version: Version;
  /**
   * The socket of its runtime API. Only this process answers there, unlike at the stats socket, which each process hands to
   * the next one. With `control: master` it is the socket of the master, which forwards commands to the PID that they name.
   */
  readonly socket: string;
};

/** A process that takes runtime commands: the part of a `Worker` that code outside its driver uses. */
export type Runtime = RuntimeState & {
  /** What runs in it, as far as is known. */
  readonly running: Rendered;
  /** Brings the process to `desired` by these commands. Where the process does not answer, the outcome is `failed`. */
  applyCommands(commands: readonly RuntimeCommand[], desired: Rendered): Promise<CommandOutcome>;
  /** Reads these parts back from the process. Throws an AppError where the process does not answer. */
  observe(owners: readonly Owner[], rotation?: Rotation, touched?: Touched): Promise<SeenByKind>;
  /** What HAProxy says of these backends and their servers, by backend. Throws an AppError where the process does not answer. */
  health(backends: readonly string[]): Promise<ReadonlyMap<string, BackendHealth>>;
  /** The names of all backends without a server up. Throws an AppError where the process does not answer. */
  downBackends(): Promise<ReadonlySet<string>>;
  /** Uses what was read back as what runs. The file keeps what was desired, so that drift does not survive the next start. */
  acceptObserved(running: Rendered, leaving: readonly Leaving[]): void;
};

/** What of a reading back is rotation, rather than because of a change. */
export type Rotation = {
  /** A round begins: what is read together is read now. */
  readonly isNewRound: boolean;
  /** Owners that nothing was done to. */
  readonly rotated: ReadonlySet<Owner>;
};

/** By resource kind, then owner: a backend has one entry for itself and one for its servers. */
export type SeenByKind = ReadonlyMap<RuntimeCommand['kind'], ReadonlyMap<Owner, Seen>>;

/** The outcome of commands. */
export type CommandOutcome =
  | { readonly kind: 'applied'; readonly tookMs: Ms }
  /** The file was not written, or HAProxy did not start or answer: the old state serves, and its file is restored. */
  | { readonly kind: 'failed'; readonly error: AppError; readonly problems: readonly Problem[] }
  /** Some replies do not confirm their commands: what runs has to be read back. */
  | { readonly kind: 'unexpected'; readonly replies: readonly UnexpectedReply[] }
  /** Another process serves by now, or the plan no longer fits what runs: the caller plans again. */
  | { readonly kind: 'superseded' };

export type Outcome =
  | CommandOutcome
  /** `haproxy -c` or the preflight refused the config: HAProxy runs unchanged. */
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

export type OldWorkerView = {
  readonly pid: number;
  readonly generation: number;
  readonly since: Moment;
  /** null where it is not known. */
  readonly connections: number | null;
};

/** Why, and since when, something is not as it should be. */
export type Trouble = { readonly reason: string; readonly since: Moment };

/** What a driver shows of the HAProxy that serves, or of the file from which HAProxy is started elsewhere. */
export type Active = {
  readonly running: Running;
  /** null where the process takes no commands, so that every change is a reload. */
  readonly worker: Worker | null;
  /** The record of what runs and in which process; null where the driver writes the file itself. */
  readonly record: { readonly generation: Generation; readonly ready: ReadyRecord } | null;
};

/** One way to start HAProxy and to change what it runs. Opened by a `DriverFactory`, which recognises what runs. */
export type Driver = {
  /** Version of the executable, which starts the next config; else of what runs; null where neither is known. */
  readonly version: Version | null;
  /** The file as it was found at the start, where nothing of ours was running. */
  readonly found: readonly Section[] | null;
  readonly active: Active | null;
  /** Since when the serving process does not answer; null: the process answers, or none serves. */
  readonly unresponsive: Trouble | null;
  /** Since when the master is silent while its worker answers, so no reload works; null: it answers, or is absent. */
  readonly masterTrouble: Trouble | null;
  /** Why what runs must be replaced although its text may be the wanted one; empty: no such reason. */
  readonly forced: readonly ReloadReason[];
  readonly oldWorkers: readonly OldWorkerView[];
  /** How many old processes count against `maxOldWorkers`. */
  readonly leaving: number;
  /** The old processes that still take commands. */
  readonly followers: readonly Worker[];
  /** Brings what is active, which takes no commands, to `sections` without a reload. */
  update(sections: readonly Section[]): Promise<Outcome>;
  /** Makes HAProxy serve `sections`, or leaves HAProxy and its file as they were. */
  replace(sections: readonly Section[], reasons: readonly ReloadReason[], signal: AbortSignal): Promise<Outcome>;
  check(sections: readonly Section[], signal: AbortSignal): Promise<readonly Problem[]>;
  /** Watches for events that Myelin did not cause; null where there are none to see. */
  readonly polling: Polling | null;
  stop(): Promise<void>;
};

/** Recognises what runs, and throws an AppError where there is nothing to begin with. */
export type DriverFactory = (context: DriverContext, signal: AbortSignal) => Promise<Driver>;

/** What `ManagedDriver` provides to a driver. */
export type DriverContext = Omit<DriverOptions, 'config' | 'now' | 'random'> & {
  /** The newest one. */
  readonly config: () => DriverOptions['config'];
  readonly now: () => Moment;
  /** The config file. `noteChange` writes what runs there; during `replace` the driver writes the file itself. */
  readonly file: ConfigFile;
  readonly noteChange: () => void;
  /** The policy learns of every reload by itself; the driver reports crashes to it. */
  readonly policy: Pick<ReloadPolicy, 'crashed' | 'resetBackOff'>;
  /** Reports a failure instead of passing it on: for work that must not affect an apply. */
  readonly tolerate: (work: Promise<unknown>) => Promise<void>;
  /** Runs `work` at the end of Myelin, after all polling. */
  readonly atEnd: (work: () => void) => void;
};

export type ManagedDriver = AsyncDisposable &
  Pick<Driver, 'version' | 'found' | 'unresponsive' | 'masterTrouble' | 'forced' | 'oldWorkers'> & {
    /** The last crash; null: there was none, or a foreign HAProxy serves instead, or Myelin does not start HAProxy. */
    readonly crash: Crash | null;
    readonly running: Running | null;
    /** The process that serves; null where none does, or it takes no commands, so that every change is a reload. */
    readonly runtime: Runtime | null;
    /** The old processes that still take commands; what they refuse has no effect, since they end anyway. */
    readonly followers: readonly Runtime[];
    /** The file on disk is older than what runs; null: it is current, or not late yet. */
    readonly fileTrouble: Trouble | null;
    /** Uses a new config; its `control` and its paths are still those of the start. */
    use(config: DriverOptions['config']): void;
    /** When a reload that has been wanted since `since` may start, and what the reload waits for. */
    reloadAt(wanted: Rendered, since: Moment): ReloadSlot;
    /**
     * Applies the plan; the config file follows. One plan at a time, except commands during a reload: these commands
     * go to the process that still serves.
     */
    apply(wanted: Rendered, plan: Plan, signal: AbortSignal): Promise<Outcome>;
    /**
     * Checks whether HAProxy would accept the config at its next start, as far as this driver can, and changes nothing that
     * runs. Throws an AppError where the config cannot be written or checked.
     */
    check(wanted: Rendered, signal: AbortSignal): Promise<readonly Problem[]>;
    /** Ends every HAProxy that Myelin started: gracefully, and by force after `stopGrace`. */
    stop(): Promise<void>;
  };

export type DriverOptions = {
  readonly config: Pick<Config, 'haproxy' | 'reload' | 'state' | 'file' | 'drainTimeout' | 'drift'>;
  /** Something changed that asks for a reconcile: HAProxy ended, its executable changed, an old worker is gone. */
  readonly onChange: () => void;
  readonly onEvent: (event: DriverEvent) => void;
  /**
   * null: the desired config may replace the config of another Myelin; else why it may not, such as when nothing is
   * known to serve.
   */
  readonly whyNoTakeover: () => string | null;
  /** Whether a HAProxy of others that serves at `statsSocket` hands over its listening sockets, as an operator has ordered. */
  readonly takesOver?: boolean;
  /** PATH and what HAProxy's own config may refer to. */
  readonly env: NodeJS.ProcessEnv;
  readonly now?: () => Moment;
  readonly random?: () => number;
};
