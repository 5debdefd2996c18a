/**
 * What the running HAProxy has that can be changed while it runs. One kind of it is a folder here, a line in `index.ts`
 * and its commands in the union `RuntimeCommand`; what plans, applies and proves changes loops over the list.
 */
import type { Drift, Leaving, Moment, Ms, ReloadCode, Rendered, RuntimeCommand, Section } from '../../model.ts';
import type { Capabilities } from '../binary/capabilities.ts';
import type { Ask } from '../cli/ask.ts';
import type { Frame } from '../cli/framing.ts';
import type { Info } from '../cli/info.ts';

/**
 * What is read back, trusted and put right as one: of servers their backend. It is the `section` of a reason, such as
 * `backend web`; only the resource knows what it stands for.
 */
export type Owner = string;

/** Methods, so that the list can hold resources of different commands: each is only asked about its own. */
export type Resource<Command extends RuntimeCommand = RuntimeCommand, Part extends Seen = Seen> = {
  readonly kind: Command['kind'];

  /** Asked about each difference between the two; what has to be read of them for that is read once. */
  plan(running: Rendered, desired: Rendered, process: RuntimeState): Planner;
  /** What there is to be made of `old` by commands while the rest of `now` waits for a reload; `old` itself: nothing. */
  withinStructure(old: Section, now: Section): Section;
  /** Commands for a process that was started from this: what the file has no words for. */
  afterStart(running: Rendered): readonly Command[];

  /** The lines of a command. */
  say(command: Command): readonly string[];
  /** `replies` are the answers to its lines, without blanks around them. */
  classify(command: Command, replies: readonly string[]): Verdict;
  /** What an unexpected reply teaches; the same capabilities where that is nothing. */
  learn(capabilities: Capabilities, command: Command, reply: string): Capabilities;

  /** Of each of these, which are sent together: a rank after the other, each once the one before was answered (`rankOf`). */
  ranks(commands: readonly Command[]): readonly number[];
  /** Where one of these failed in an earlier rank, the command is not sent. */
  needs(command: Command): readonly Owner[];
  owner(command: Command): Owner;
  /** Of the one thing that it changes, unique among all of its kind. */
  identity(command: Command): string;
  /** For reasons: `add web-1`. */
  describe(command: Command): string;
  /** HAProxy's reply comes a moment before what it says is so. */
  isLate(command: Command): boolean;

  /** What can be read back of a process that runs this, by owner. A part keeps its identity while it is the same. */
  parts(running: Rendered): ReadonlyMap<Owner, object>;
  /** Of what is known to run, these. Throws an AppError where one of them was not answered. */
  observe(ask: Ask, owners: readonly Owner[], of: Observed, frame?: Frame): Promise<Observation<Part>>;
  /** `running` is what is known to run. */
  drift(running: Rendered, seen: ReadonlyMap<Owner, Part>, circumstances: Circumstances): Findings;

  /** Looks after what was removed of this in one process; not there where all is gone at once. */
  createReaper?(now: () => Moment): Reaper;
};

/** By what has to be there before what: things come before what leads to them, and go after it. */
export const rankOf = {
  backendsCome: 0,
  serversCome: 1,
  backendsPublished: 2,
  routesCome: 3,
  routesGo: 4,
  backendsUnpublished: 5,
  serversGo: 6,
  backendsGo: 7,
} as const;

/** What a plan has to know of the process that it is for. */
export type RuntimeState = {
  readonly capabilities: Capabilities;
  /** What was removed and is still there. */
  readonly leaving: readonly Leaving[];
  /** What it was started with, and so proved; null where that is not known. */
  readonly started: readonly Section[] | null;
};

export type Planner = {
  /**
   * For a section that differs; null stands for one that is not there. `structure`: more differs than commands can do.
   * null: it is none of its business.
   */
  section(old: Section | null, now: Section | null): Change | 'structure' | null;
};

export type Change = {
  readonly commands: readonly RuntimeCommand[];
  /** Why the rest waits for a reload; none: nothing does. */
  readonly obstacles: readonly Obstacle[];
  /** What the section is after the commands. */
  readonly after: () => Section;
};

export type Obstacle = { readonly code: ReloadCode; readonly detail: string };

export type Verdict =
  | { readonly kind: 'done' }
  /** Not removed: it is in use. */
  | { readonly kind: 'busy' }
  /** Not removed and not to be before the next reload: the config names it, or this version does not. */
  | { readonly kind: 'pinned' }
  | UnexpectedReply;

/** Anything else. What it did is not known; '' where the answer was cut short. */
export type UnexpectedReply = { readonly kind: 'unexpected'; readonly command: RuntimeCommand; readonly reply: string };

/** A process that is read back. */
type Observed = { readonly running: Rendered; readonly capabilities: Capabilities };

/** What HAProxy says of one part; `said` is equal where a comparison would come to the same. */
export type Seen = { readonly said: string };

export type Observation<Part extends Seen = Seen> = {
  /** Who answered, on each line that was needed; null where one did not say. */
  readonly from: readonly (Info | null)[];
  /** By owner, as asked. */
  readonly seen: ReadonlyMap<Owner, Part>;
};

export type Circumstances = {
  readonly leaving: readonly Leaving[];
  /** Identities of what was changed so lately that it may not have taken effect yet. */
  readonly unsettled: ReadonlySet<string>;
};

export type Finding = {
  readonly owner: Owner;
  readonly identity: string;
  /** For reasons: `weight of web-1`. */
  readonly what: string;
  readonly drift: Drift;
};

export type Findings = {
  readonly findings: readonly Finding[];
  /** What really runs; what has no drift keeps its identity. */
  readonly running: Rendered;
  /** What is on its way out and nobody knew of, by its owner. */
  readonly leaving: ReadonlyMap<Owner, readonly Leaving[]>;
};

/** What was removed of one process: it is deleted once it is idle. Until then it may come back. */
export type Reaper = {
  readonly list: readonly Leaving[];
  /** For the Myelin that takes over, which reads it from disk. */
  readonly toRecord: readonly Leaving[];
  /** What a Myelin before this one recorded. Whether it is still there is to be found. */
  recall(leaving: readonly Leaving[]): void;
  /** One that a Myelin before this one removed, or an operator. */
  found(leaving: Leaving): void;
  /** What a command that was sent means for what leaves. */
  note(command: RuntimeCommand, verdict: Verdict, capabilities: Capabilities): void;
  /** Whether the commands count on one that is not there any more. */
  isOutdated(commands: readonly RuntimeCommand[], running: Rendered): boolean;
  /** Whether there is something to do by now. */
  readonly isDue: boolean;
  /** Reads what is idle by now. Returns commands that delete it, and that close connections after `drainTimeout`. */
  next(ask: Ask, limits: Frame & { readonly drainTimeoutMs: Ms }): Promise<Reaping>;
};

export type Reaping = {
  readonly commands: readonly RuntimeCommand[];
  /** Connections that they close: those that are left after `drainTimeout`. */
  readonly closed: number;
};
