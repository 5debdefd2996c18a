/**
 * The state of the HAProxy that is to serve, with one owner: which process serves, why none does, whether it hangs.
 * `docs/architecture.md` shows it as a diagram.
 */
import { transitions } from '../lib/state-table.ts';
import type { Moment, ReloadReason } from '../model.ts';
import type { DriverEvent } from './driver-event.ts';
import { startedByOthers } from './foreign.ts';
import { Liveness } from './runtime/liveness.ts';

/** `Process` describes a process of ours, `Foreign` one that was started elsewhere, each as its driver knows it. */
export type ProcessState<Process, Foreign> =
  /** No HAProxy serves, as far as is known. */
  | { readonly kind: 'absent'; readonly why: ReloadReason }
  | { readonly kind: 'active'; readonly process: Process }
  /** The process is there but has not answered for too long: it may hang. */
  | { readonly kind: 'unresponsive'; readonly process: Process; readonly since: Moment; readonly reason: string }
  /** A process that was started elsewhere serves instead of ours. */
  | { readonly kind: 'foreign'; readonly foreign: Foreign; readonly why: ReloadReason }
  /** The process leaves, and not by our order: it finishes its connections and accepts no new ones. */
  | { readonly kind: 'leaving'; readonly why: ReloadReason };

export type ProcessEvent<Process, Foreign> =
  /** A process of ours is ready, and what it runs is known. */
  | { readonly kind: 'serves'; readonly process: Process }
  | { readonly kind: 'answered' }
  | { readonly kind: 'silent'; readonly since: Moment; readonly reason: string }
  | { readonly kind: 'soft_stop' }
  /** The process has ended. */
  | { readonly kind: 'gone' }
  /** `isInPlaceOfOurs`: one of ours served before. */
  | { readonly kind: 'foreign_found'; readonly foreign: Foreign; readonly isInPlaceOfOurs: boolean };

type Pid = { readonly pid: number };

const exited: ReloadReason = { code: 'haproxy_exited' };

/** Every event in every state. */
function nextState<P, F extends Pid>() {
  type State = ProcessState<P, F>;
  type Event<Kind> = Extract<ProcessEvent<P, F>, { kind: Kind }>;
  const same = (state: State): State => state;
  const serves = (_: State, { process }: Event<'serves'>): State => ({ kind: 'active', process });
  const silent = ({ process }: Extract<State, { process: P }>, { since, reason }: Event<'silent'>): State => ({
    kind: 'unresponsive',
    process,
    since,
    reason,
  });
  const foreign = (state: State, { foreign, isInPlaceOfOurs }: Event<'foreign_found'>): State => {
    const before = 'why' in state ? state.why : exited;
    return {
      kind: 'foreign',
      foreign,
      why: isInPlaceOfOurs ? { ...exited, detail: startedByOthers(foreign.pid) } : before,
    };
  };
  const absent = (): State => ({ kind: 'absent', why: exited });
  const leaving = (): State => ({ kind: 'leaving', why: exited });
  return transitions<State, ProcessEvent<P, F>>({
    absent: {
      serves,
      // The result of a query to a process that has ended since.
      answered: same,
      silent: same,
      soft_stop: ({ why }) => ({ kind: 'leaving', why }),
      gone: same,
      foreign_found: foreign,
    },
    active: { serves, answered: same, silent, soft_stop: leaving, gone: absent, foreign_found: foreign },
    unresponsive: {
      serves,
      answered: ({ process }) => ({ kind: 'active', process }),
      silent,
      soft_stop: leaving,
      gone: absent,
      foreign_found: foreign,
    },
    foreign: {
      serves,
      answered: same,
      silent: same,
      soft_stop: ({ why: { code } }) => ({ kind: 'leaving', why: { code } }),
      gone: ({ why: { code } }) => ({ kind: 'absent', why: { code } }),
      foreign_found: foreign,
    },
    leaving: {
      serves,
      answered: same,
      silent: same,
      soft_stop: same,
      gone: ({ why }) => ({ kind: 'absent', why }),
      foreign_found: foreign,
    },
  });
}

type TrackerOptions<Process> = {
  readonly now: () => Moment;
  readonly onEvent: (event: DriverEvent) => void;
  /** How events name a process. */
  readonly nameOf: (process: Process) => { readonly pid: number; readonly generation: number };
};

/** The owner of the state; `Liveness` decides how much silence is too much. */
export class ProcessTracker<Process, Foreign extends Pid> {
  readonly #next = nextState<Process, Foreign>();
  readonly #options: TrackerOptions<Process>;
  readonly #liveness: Liveness;
  #state: ProcessState<Process, Foreign>;

  constructor(serving: Process | null, options: TrackerOptions<Process>) {
    this.#options = options;
    this.#liveness = new Liveness(options);
    this.#state =
      serving === null ? { kind: 'absent', why: { code: 'first_start' } } : { kind: 'active', process: serving };
  }

  get state(): ProcessState<Process, Foreign> {
    return this.#state;
  }

  /** The serving process, whether it answers or not. */
  get process(): Process | null {
    return 'process' in this.#state ? this.#state.process : null;
  }

  /** Why HAProxy has to be started; empty: one of ours serves. */
  get whyNone(): readonly ReloadReason[] {
    return 'why' in this.#state ? [this.#state.why] : [];
  }

  get unresponsive(): { readonly since: Moment; readonly reason: string } | null {
    return this.#state.kind === 'unresponsive' ? this.#state : null;
  }

  /** Whether the process has been silent for so long that it will not recover. */
  get isHopeless(): boolean {
    return this.#state.kind === 'unresponsive' && this.#liveness.isHopeless;
  }

  on(event: ProcessEvent<Process, Foreign>): void {
    const before = this.process;
    this.#state = this.#next(this.#state, event);
    if (this.process !== before) this.#liveness.none();
  }

  /** The outcome of a query to `process` that began at `askedAt`; null: the process answered. */
  heard(process: Process, askedAt: Moment, error: unknown): void {
    if (this.process !== process) return;
    const name = this.#options.nameOf(process);
    if (error === null) {
      this.#options.onEvent({ kind: 'haproxy_answered', tookMs: this.#options.now() - askedAt });
      this.#liveness.answered(name);
      this.on({ kind: 'answered' });
      return;
    }
    this.#liveness.missed(name, askedAt, error);
    const silence = this.#liveness.unresponsive;
    if (silence !== null) this.on({ kind: 'silent', since: silence.since, reason: silence.reason });
  }
}
