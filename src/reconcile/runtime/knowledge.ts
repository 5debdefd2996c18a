/**
 * What is known of the process that serves, in one value: whether its text says what it really has, and where commands no
 * longer help. The table says what each event makes of each state.
 */
import type { Owner } from '../../haproxy/resources/resource.ts';
import { transitions } from '../../lib/state-table.ts';
import type { ReloadReason } from '../../model.ts';

type Common = {
  /** The generation of the process; null: no process that takes commands serves. */
  readonly generation: number | null;
  /** How often in a row commands got no answer. */
  readonly unanswered: number;
  /** Reading all of it back has begun. */
  readonly isScheduled: boolean;
};

export type Knowledge =
  /**
   * Not all of the process has been read back yet. `isFound`: it is older than this Myelin, and may have got more, or
   * fewer, commands than were recorded: nothing is planned before it is read.
   */
  | (Common & { readonly kind: 'unread'; readonly isFound: boolean })
  /** It has what its text says, or is being brought there by commands. */
  | (Common & { readonly kind: 'verified' })
  /** Commands no longer help these owners; the next reload is for them. */
  | (Common & { readonly kind: 'needs_reload'; readonly reasons: ReadonlyMap<Owner, ReloadReason> });

export type KnowledgeEvent =
  /** This process serves, however it was started; null: no process that takes commands does. */
  | { readonly kind: 'serves'; readonly generation: number | null }
  /** This one was started from what was desired. */
  | { readonly kind: 'reloaded'; readonly generation: number | null }
  /** All of it is going to be read back. */
  | { readonly kind: 'scheduled' }
  /** All of it has been read back. */
  | { readonly kind: 'read' }
  /** Commands did not do what they should, or did not help. */
  | { readonly kind: 'reload_required'; readonly reasons: readonly ReloadReason[] }
  | { readonly kind: 'answered' }
  | { readonly kind: 'unanswered' };

const same = <State>(state: State): State => state;

export const nextKnowledge = transitions<Knowledge, KnowledgeEvent>({
  unread: {
    serves: whoServes,
    reloaded: started,
    scheduled,
    read: ({ generation, unanswered }) => ({ kind: 'verified', generation, unanswered, isScheduled: true }),
    // Nothing is planned for a found process yet; reading it back will find the same faults again.
    reload_required: (state, { reasons }) => (state.isFound ? state : needsReload(state, new Map(), reasons)),
    answered,
    unanswered,
  },
  verified: {
    serves: whoServes,
    reloaded: started,
    scheduled: same,
    read: same,
    reload_required: (state, { reasons }) => needsReload(state, new Map(), reasons),
    answered,
    unanswered,
  },
  needs_reload: {
    serves: whoServes,
    reloaded: started,
    // The process is read back anyway: more may be wrong than the faults already known.
    scheduled,
    // Reading back does not help backends that commands do not help.
    read: same,
    reload_required: (state, { reasons }) => needsReload(state, state.reasons, reasons),
    answered,
    unanswered,
  },
});

/** The knowledge at the start, of a process that was found running, or of none. */
export function knowledgeAtStart(generation: number | null): Knowledge {
  return { kind: 'unread', generation, isFound: generation !== null, isScheduled: false, unanswered: 0 };
}

/** The reasons for a reload that a comparison of the texts does not find, by owner. */
export function reloadReasons(state: Knowledge): ReadonlyMap<Owner, ReloadReason> {
  return state.kind === 'needs_reload' ? state.reasons : none;
}

const none: ReadonlyMap<Owner, ReloadReason> = new Map();

/** What is known of one process says nothing of the next one. */
function whoServes(state: Knowledge, { generation }: { readonly generation: number | null }): Knowledge {
  return state.generation === generation ? state : started(state, { generation });
}

function started(_: Knowledge, { generation }: { readonly generation: number | null }): Knowledge {
  return { kind: 'unread', generation, isFound: false, isScheduled: false, unanswered: 0 };
}

function needsReload(
  { generation, unanswered, isScheduled }: Knowledge,
  before: ReadonlyMap<Owner, ReloadReason>,
  reasons: readonly ReloadReason[],
): Knowledge {
  const its = reasons.map((reason) => [reason.section ?? '', reason] as const);
  return { kind: 'needs_reload', generation, unanswered, isScheduled, reasons: new Map([...before, ...its]) };
}

function scheduled(state: Knowledge): Knowledge {
  return { ...state, isScheduled: true };
}

function answered(state: Knowledge): Knowledge {
  return state.unanswered === 0 ? state : { ...state, unanswered: 0 };
}

function unanswered(state: Knowledge): Knowledge {
  return { ...state, unanswered: state.unanswered + 1 };
}
