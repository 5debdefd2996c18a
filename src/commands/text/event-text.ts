/** What happened, in a line for people. */

import type { Ms } from '../../model.ts';
import type { Event } from '../../report/events.ts';
import { age, formatDrift, formatReason } from './format.ts';

/** One line; names and reasons of sources may be in it as they are. */
export function describeEvent(event: Event): string {
  switch (event.kind) {
    case 'answered':
      return `${event.watcher}: news of ${listed(event.queries, event.more)}`;
    case 'synced':
      return `${event.watcher} has answered completely`;
    case 'source_failed':
      return `${event.watcher} failed, what is known of it serves on: ${event.reason}`;
    case 'source_recovered':
      return `${event.watcher} answers again`;
    case 'answer_stale':
      return `${event.watcher}: stale is the answer for ${listed(event.queries, event.more)}: ${event.reason}`;
    case 'answer_fresh':
      return `${event.watcher}: fresh again is the answer for ${listed(event.queries, event.more)}`;
    case 'refused':
      return `${event.watcher}: ${event.count} of ${event.query} left out`;
    case 'kept': {
      const still = event.until === null ? '' : ` for ${age(event.at, event.until)}`;
      return `${event.service}: ${event.endpoints} gone at the source and kept${still} (${keptBy[event.reason]})`;
    }
    case 'kept_no_longer':
      return `${event.service}: nothing is kept any more`;
    case 'left_out':
      return `${event.service}, offered by ${event.watcher}, is left out: ${event.reason}`;
    case 'left_out_no_more':
      return `${event.service}, offered by ${event.watcher}, is left out no more`;
    case 'accepted':
      return `${event.service}: an operator lets ${event.endpoints} kept go`;
    case 'pending': {
      const wait = age(event.at, event.startsAt);
      return `reload waits ${wait} (${event.because}): ${listed(event.reasons.map(formatReason), event.more)}`;
    }
    case 'reload_begun':
      return `reload begins: ${listed(event.reasons.map(formatReason), event.more)}`;
    case 'reload':
      return `reloaded${timing(event)}: ${listed(event.reasons.map(formatReason), event.more)}`;
    case 'runtime':
      return `servers changed${timing(event)}: ${listed(event.backends, event.more)} (${counted(event.commands, 'command')})`;
    case 'rejected':
      return `rejected: ${listed(messages(event.problems), event.more)}`;
    case 'failed': {
      const reasons = event.reasons.length === 0 ? '' : ` (${listed(event.reasons.map(formatReason), event.more)})`;
      return `could not be applied${reasons}: ${event.error}`;
    }
    case 'set_apart':
      return `${event.service} is set apart: ${listed(messages(event.problems), event.more)}`;
    case 'whole_again':
      return `${event.service} is whole again`;
    case 'drift': {
      const what = event.isRepaired ? 'set right' : 'not as it should be';
      return `${what}: ${listed(event.drift.map(formatDrift), event.more)}`;
    }
    case 'ordered': {
      const time = event.until === null ? '' : ` for ${age(event.at, event.until)}`;
      return `an operator orders ${event.backend}/${event.server} ${event.state}${time}`;
    }
    case 'order_over':
      return `the order for ${event.backend}/${event.server} is over, it is given back`;
    case 'config_read': {
      const later = event.afterRestart.length === 0 ? '' : `; after a restart only: ${event.afterRestart.join(', ')}`;
      return `config and templates were read again${later}`;
    }
    case 'config_refused':
      return `the new config is refused, the old one stays: ${event.reason}`;
    case 'adopted':
      return `HAProxy was running already and is kept (pid ${event.pid})`;
    case 'taken_over':
      return `the HAProxy of another Myelin has handed over (${event.folder})`;
    case 'address_moved':
      return `an address took another form, refused for a moment: ${listed(event.frontends, event.more)}`;
    case 'dismissed':
      return `HAProxy (pid ${event.pid}) was told to leave by somebody else`;
    case 'exited':
      return `HAProxy has ended by itself (pid ${event.pid}): ${event.words}`;
    case 'unresponsive':
      return `HAProxy does not answer (pid ${event.pid}): ${event.error}`;
    case 'responsive':
      return `HAProxy answers again (pid ${event.pid}) after ${age(0, event.silentMs)}`;
    case 'binary_changed':
      return `the executable of HAProxy has changed: ${event.path}`;
    case 'old_worker_gone':
      return `an old HAProxy has finished (pid ${event.pid}) after ${age(0, event.ageMs)}`;
    case 'connections_closed': {
      const what = event.connections === null ? 'connections' : counted(event.connections, 'connection');
      return `${what} of an old HAProxy closed by a limit (${event.limit}, pid ${event.pid})`;
    }
    case 'file_restored':
      return `the proven file was put back: ${event.path}`;
    case 'file_behind':
      return `the file on disk cannot be written and is behind: ${event.error}`;
    case 'file_caught_up':
      return 'the file on disk is what runs again';
    case 'trouble':
      return `background task failed, what runs is not affected: ${event.error}`;
  }
}

/** The key of the config that decides it. */
const keptBy = { emptied: 'onEmpty', shrunk: 'maxShrink' } as const;

function timing({ tookMs, sinceChangeMs }: { readonly tookMs: Ms; readonly sinceChangeMs: Ms | null }): string {
  const since = sinceChangeMs === null ? '' : `, ${Math.round(sinceChangeMs)} ms after the change`;
  return ` in ${Math.round(tookMs)} ms${since}`;
}

function listed(items: readonly string[], more: number): string {
  return [...items, ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

function messages(problems: readonly { readonly message: string }[]): readonly string[] {
  return problems.map(({ message }) => message);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
