/**
 * A resource is something that can change while HAProxy runs. Each kind is a folder here, a line in `index.ts`
 * and its commands in the union `RuntimeCommand`; code that plans, applies and verifies changes loops over the list.
 */
import type { Drift, Leaving, Moment, Ms, ReloadCode, Rendered, RuntimeCommand, Section } from '../../model.ts';
import type { Capabilities } from '../binary/capabilities.ts';
import type { Ask } from '../cli/ask.ts';
import type { Frame } from '../cli/framing.ts';
import type { Info } from '../cli/info.ts';

/**
 * The unit that is read back, trusted and repaired: for servers, the backend. It is the `section` of a reason, such as
 * `backend web`; only the resource knows its meaning.
 */
export type Owner = string;

/** Methods, so that the list can hold resources of different commands: each is only asked about its own. */
export type Resource<Command extends RuntimeCommand = RuntimeCommand, Part extends Seen = Seen> = {
  readonly kind: Command['kind'];
  /** Only clients that connect from now on see it: a process that leaves, and listens no more, needs no such change. */
  readonly isForNewClients: boolean;

  /** The planner is called for each difference between the two; it reads what it needs of them once. */
  plan(running: Rendered, desired: Rendered, process: RuntimeState): Planner;
  /** What commands can make of `old` while the rest of `now` waits for a reload; `old` itself: nothing. */
  withinStructure(old: Section, now: Section, rest: Rest): Section;
  /** Whether a section that is to go stays until the reload that waits, although commands could remove it; missing: none does. */
  staysUntilReload?(old: Section, rest: Rest): boolean;
  /** Commands for a new process, for settings that the file cannot express. */
  afterStart(running: Rendered): readonly Command[];

  /** The lines of a command. */
  say(command: Command): readonly string[];
  /** `replies` are the answers to its lines, without blanks around them. */
  classify(command: Command, replies: readonly string[]): Verdict;
  /** Carries out a command of which one line depends on the reply to another; null, or missing: `say` has its lines. */
  converse?(command: Command, send: Send, capabilities: Capabilities): Promise<Verdict> | null;
  /** The capabilities after an unexpected reply; the same object where the reply says nothing about them. */
  learn(capabilities: Capabilities, command: Command, reply: string): Capabilities;

  /** The rank of each command: a rank is sent once the previous one was answered, unless both share a trip (`rankOf`). */
  ranks(commands: readonly Command[]): readonly number[];
  /** Where one of these failed in an earlier rank, the command is not sent, or its reply only follows from that failure. */
  needs(command: Command): readonly Owner[];
  owner(command: Command): Owner;
  /** The name of the one thing that the command changes, unique within its kind. */
  identity(command: Command): string;
  /** For reasons: `add web-1`. */
  describe(command: Command): string;
  /** Whether HAProxy replies a moment before the command takes effect. */
  isLate(command: Command): boolean;

  /**
   * To read one of its parts, HAProxy walks over all of them: in rotation they are read together, once a round. Those that commands
   * have touched are read by themselves, like those of any resource.
   */
  readonly isReadTogether?: true;
  /** The parts that can be read back, by owner; `among`: those of these owners. An unchanged part keeps its identity. */
  parts(running: Rendered, among?: Iterable<Owner>): ReadonlyMap<Owner, object>;
  /** Reads these owners back. Throws an AppError where a query was not answered. */
  observe(ask: Ask, owners: readonly Owner[], of: Observed, frame?: Frame): Promise<Observation<Part>>;
  /** `running` is what is known to run. */
  drift(running: Rendered, seen: ReadonlyMap<Owner, Part>, circumstances: Circumstances): Findings;

  /** Deletes removed things in one process; missing for a kind where removal is immediate. */
  createReaper?(now: () => Moment): Reaper;
};

/** Sends commands to one process and returns its replies. Throws an AppError where it does not answer, or another one does. */
export type Send = (commands: readonly string[]) => Promise<readonly string[]>;

/** The order of ranks: things come before what leads to them, and go after it. */
export const rankOf = {
  certificatesCome: 0,
  certificatesListed: 1,
  backendsCome: 2,
  serversCome: 3,
  backendsPublished: 4,
  routesCome: 5,
  frontendsEnabled: 6,
  routesGo: 7,
  frontendsGo: 8,
  backendsUnpublished: 9,
  serversGo: 10,
  backendsGo: 11,
  certificatesUnlisted: 12,
  certificatesGo: 13,
} as const;

const backendWithServers: ReadonlySet<number> = new Set([
  rankOf.backendsCome,
  rankOf.serversCome,
  rankOf.backendsPublished,
]);

/**
 * Ranks with the same trip are sent in one go, in their order. A backend comes with its servers and is published in one: whatever of
 * it fails, nobody is led there, since the routes are sent once all of it was answered.
 */
export function tripOf(rank: number): number {
  return backendWithServers.has(rank) ? rankOf.backendsCome : rank;
}

/** What a plan needs to know of its process. */
export type RuntimeState = {
  readonly capabilities: Capabilities;
  /** What was removed and is still there. */
  readonly leaving: readonly Leaving[];
  /** The sections that the process was started with, which are proven; null where not known. */
  readonly started: readonly Section[] | null;
};

/** What else differs while a reload waits. */
export type Rest = {
  readonly desired: Rendered;
  /** Whether a section that names this file waits for the reload. */
  waitsFor(file: string): boolean;
  /** Whether the backend of this name is another service's until the reload. */
  isTakenOver(backend: string): boolean;
};

export type Planner = {
  /**
   * Plans a section that differs; null stands for a missing one. `structure`: more differs than commands can change.
   * null: the section is not of this resource.
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
  /** Not removed before the next reload: the config names it, or this version cannot remove it. */
  | { readonly kind: 'pinned' }
  | UnexpectedReply;

/** Any other reply: the effect of the command is not known; '' where the answer was cut short. */
export type UnexpectedReply = { readonly kind: 'unexpected'; readonly command: RuntimeCommand; readonly reply: string };

/** A process that is read back. */
type Observed = {
  readonly running: Rendered;
  readonly capabilities: Capabilities;
  /** Owners that are read because of these commands alone: of the rest of them nothing need be read. */
  readonly touched?: Touched;
};

export type Touched = ReadonlyMap<Owner, readonly RuntimeCommand[]>;

/** What HAProxy reports of one part; equal `said` means an equal result of a comparison. */
export type Seen = { readonly said: string };

export type Observation<Part extends Seen = Seen> = {
  /** The process that answered each line; null where an answer does not say. */
  readonly from: readonly (Info | null)[];
  /** By owner, as asked. */
  readonly seen: ReadonlyMap<Owner, Part>;
};

export type Circumstances = {
  readonly leaving: readonly Leaving[];
  /** Identities of recent changes that may not have taken effect yet. */
  readonly unsettled: Pick<ReadonlySet<string>, 'has'>;
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
  /** What really runs; what has no drift keeps its identity, and so does all of it where nothing has. */
  readonly running: Rendered;
  /** Leaving things that were not known, by owner. */
  readonly leaving: ReadonlyMap<Owner, readonly Leaving[]>;
};

/** Holds the removed things of one process, which are deleted once idle. Until then they may come back. */
export type Reaper = {
  readonly list: readonly Leaving[];
  /** For the next Myelin, which reads this from disk. */
  readonly toRecord: readonly Leaving[];
  /** What an earlier Myelin recorded, which may no longer exist. */
  recall(leaving: readonly Leaving[]): void;
  /** Something that an earlier Myelin, or an operator, removed. */
  found(leaving: Leaving): void;
  /** Notes what a sent command means for leaving things. */
  note(command: RuntimeCommand, verdict: Verdict, capabilities: Capabilities): void;
  /** Whether the commands rely on something that no longer exists. */
  isOutdated(commands: readonly RuntimeCommand[], running: Rendered): boolean;
  /** Whether there is something to do now. */
  readonly isDue: boolean;
  /**
   * Asks what is idle. Commands may be sent meanwhile: what it returns decides once nobody sends any, and of what has left since
   * before the question and not come back.
   */
  look(ask: Ask, limits: Frame & { readonly drainTimeoutMs: Ms }): Promise<() => Reaping>;
};

/** Commands that delete what is idle, and that close connections after `drainTimeout`. */
export type Reaping = {
  readonly commands: readonly RuntimeCommand[];
  /** The number of connections that the commands close: those left after `drainTimeout`. */
  readonly closed: number;
};
