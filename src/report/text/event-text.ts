/** An event in a line for people: what it is about, the message, and the facts of it. */

import type { Ms, ReloadReason, Timestamp } from '../../model.ts';
import type { Event } from '../events.ts';
import type { PastEvent } from '../history/kept.ts';
import { messages } from '../messages.ts';
import { age, formatDrift, formatReason, formatWait } from './format.ts';
import { printable } from './printable.ts';
import { ofNobody, problemLines, problemText } from './problem-text.ts';

/** With its time, for people. */
export function formatEventLine(event: Event | PastEvent): string {
  const words = printable(describeEvent(event).replaceAll(/\s*\n\s*/g, ' '));
  return `${localTime(event.at)}  ${words}${'times' in event ? repetitions(event) : ''}`;
}

function repetitions({ times, lastAt, others }: PastEvent): string {
  const again = times === 1 ? '' : ` (${times} times until ${localTime(lastAt).slice(-8)})`;
  return others === 0 ? again : `${again} (and ${others} more such events)`;
}

/** `2026-03-01 14:05:09` */
function localTime(at: Timestamp): string {
  return new Date(at).toLocaleString('sv');
}

/** One line; names and reasons of sources may be in it as they are. */
export function describeEvent(event: Event): string {
  // A Myelin of another version, as of a history that is older, may know more.
  if (!Object.hasOwn(messages, event.kind)) return event.kind;
  const parts = [subjectOf(event), messages[event.kind].text, factsIfKnown(event)];
  return parts.filter((part) => part !== '').join(': ');
}

function factsIfKnown(event: Event): string {
  try {
    return factsOf(event);
  } catch {
    // It lacks a field that this version has, and is still worth its line.
    return '';
  }
}

function subjectOf(event: Event): string {
  if ('service' in event) return 'watcher' in event ? `${event.service} (${event.watcher})` : event.service;
  if ('server' in event) return `${event.backend}/${event.server}`;
  return 'watcher' in event ? event.watcher : '';
}

/** '': the subject and the message say it all. */
function factsOf(event: Event): string {
  switch (event.kind) {
    case 'started':
      return `${event.version}, ${event.config}`;
    case 'stopped':
    case 'synced':
    case 'source_recovered':
    case 'watcher_hangs':
    case 'left_out_no_more':
    case 'loss_ended':
    case 'override_ended':
    case 'file_caught_up':
      return '';
    case 'config_read':
      return event.afterRestart.length === 0 ? '' : `after a restart only: ${listed(event.afterRestart, event.more)}`;
    case 'config_waits':
    case 'quarantine_ended':
      return listed(event.services, event.more);
    case 'restart_required':
      return listed(event.settings, event.more);
    case 'config_refused':
    case 'left_out':
      return event.reason;
    case 'listen_waits':
    case 'request_failed':
    case 'unhandled_rejection':
    case 'reconcile_failed':
    case 'file_behind':
    case 'trouble':
      return event.error;
    case 'source_failed':
      return `${event.reason} (${event.hasAnswered ? 'its last answers serve' : 'no answer since Myelin started'})`;
    case 'answered':
    case 'query_recovered':
      return listed(event.queries, event.more);
    case 'query_failed':
      return `${listed(event.queries, event.more)}: ${event.reason}`;
    case 'refused':
      return `${event.count} of ${event.query}`;
    case 'refused_by_config':
      return `${event.count} of ${listed(event.queries, event.more)}`;
    case 'backend_down':
      return `${counted(event.servers, 'server')}, ${event.reason}`;
    case 'backend_up':
      return `after ${age(0, event.downMs)}`;
    case 'backend_down_others':
    case 'left_out_others':
    case 'route_left_out_others':
      return String(event.count);
    case 'route_left_out':
      return `${event.route} of ${event.frontend}: ${event.holder} has it`;
    case 'route_left_out_no_more':
      return `${event.route} of ${event.frontend}`;
    case 'certificate_left_out':
      return `${event.frontend}/${event.certificate}${event.isServed ? ', an earlier one serves' : ''}: ${event.reason}`;
    case 'certificate_left_out_no_more':
      return `${event.frontend}/${event.certificate}`;
    case 'certificate_expires':
      return `${event.frontend}/${event.certificate} at ${new Date(event.notAfter).toISOString()}`;
    case 'ca_file_left_out':
      return `${event.file}${event.isServed ? ', its former content is in force' : ''}: ${event.reason}`;
    case 'ca_file_left_out_no_more':
      return event.file;
    case 'ca_certificate_expires':
      return `${event.subject} in ${event.file} at ${new Date(event.notAfter).toISOString()}`;
    case 'large_loss':
    case 'total_loss':
    case 'emptied_by_config':
      return `${counted(event.endpoints, 'endpoint')}${event.until === null ? '' : ` for ${age(event.at, event.until)}`}`;
    case 'accepted':
      return counted(event.endpoints, 'endpoint');
    case 'pending':
      return `${age(event.at, event.startsAt)}, ${formatWait(event.because)}: ${reasons(event)}`;
    case 'reload_started':
      return reasons(event);
    case 'reload':
      return `${timing(event)}: ${reasons(event)}`;
    case 'runtime':
      return `${timing(event)}, ${counted(event.commands, 'command')}: ${listed(event.backends, event.more)}`;
    case 'failed':
      return event.reasons.length === 0 ? event.error : `${event.error} (${reasons(event)})`;
    case 'rejected':
      return listed(problemLines(event.problems), event.more);
    case 'quarantined':
      return `${listed(event.services, event.more)}: ${problemText(ofNobody(event.problems))}`;
    case 'reload_only':
      return event.because;
    case 'drift_repaired':
    case 'drift_found':
      return listed(event.drift.map(formatDrift), event.more);
    case 'override_set':
      return `${event.state}${event.until === null ? '' : ` for ${age(event.at, event.until)}`}`;
    case 'adopted':
    case 'stopped_externally':
      return `pid ${event.pid}`;
    case 'taken_over':
      return event.folder;
    case 'address_moved':
      return listed(event.frontends, event.more);
    case 'exited':
      return `pid ${event.pid}: ${event.words}`;
    case 'unresponsive':
      return `pid ${event.pid}: ${event.error}`;
    case 'responsive':
      return `pid ${event.pid}, after ${age(0, event.silentMs)}`;
    case 'old_worker_gone':
      return `pid ${event.pid}, after ${age(0, event.ageMs)}`;
    case 'connections_closed': {
      const closed = event.connections === null ? '' : `${counted(event.connections, 'connection')}, `;
      return `${closed}${event.limit}, pid ${event.pid}`;
    }
    case 'output_written':
    case 'output_restored':
      return `${event.output}: ${event.path}`;
    case 'output_failed':
      return `${event.output} (${event.step}): ${event.error}`;
    case 'output_recovered':
      return event.output;
    case 'binary_changed':
    case 'file_restored':
    case 'socket_restored':
      return event.path;
  }
}

function reasons(event: { readonly reasons: readonly ReloadReason[]; readonly more: number }): string {
  return listed(event.reasons.map(formatReason), event.more);
}

function timing({ tookMs, sinceChangeMs }: { readonly tookMs: Ms; readonly sinceChangeMs: Ms | null }): string {
  const since = sinceChangeMs === null ? '' : `, ${Math.round(sinceChangeMs)} ms after the change`;
  return `in ${Math.round(tookMs)} ms${since}`;
}

function listed(items: readonly string[], more: number): string {
  return [...items, ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
