/** Turns failures of HAProxy or the system into problems that name the service at fault. */

import { maskLines } from '../config/read/mask.ts';
import { AppError, describe, hasCode } from '../errors.ts';
import type { Complaint } from '../haproxy/binary/check.ts';
import { ownerOf, resourceOf } from '../haproxy/resources/index.ts';
import type { UnexpectedReply } from '../haproxy/resources/resource.ts';
import { attribute } from '../haproxy/text/attribution.ts';
import { textOf } from '../haproxy/text/layout/layout.ts';
import { linesOf } from '../haproxy/text/text.ts';
import type { Problem, Section } from '../model.ts';
import { privileged } from './checks/preflight.ts';
import type { Outcome } from './driver.ts';
import type { Start } from './process/start/start.ts';

/** HAProxy would accept an empty file, because Myelin adds the generation's socket, and would then serve nothing. */
export const emptyConfig: Problem = {
  message: 'the config is empty; HAProxy would serve nothing with it',
  service: null,
};

/** Line numbers count only for the file that holds the sections, under any of its names. */
export function toProblems(
  complaints: readonly Complaint[],
  sections: readonly Section[],
  files: readonly string[],
): readonly Problem[] {
  const lines = complaints.length === 0 ? [] : linesOf(textOf(sections));
  return complaints.flatMap(({ message, file, line }) => {
    const ownLine = file !== undefined && files.includes(file) ? line : undefined;
    const words = /cannot bind socket \(?Permission denied/i.test(message) ? `${message}: ${privileged}` : message;
    const problem = {
      message: file === undefined || ownLine !== undefined ? words : `${file}: ${words}`,
      ...(ownLine !== undefined && { line: ownLine, text: maskLines(lines[ownLine - 1] ?? '').trim() }),
    };
    const services = attribute(message, ownLine, sections);
    return (services.length === 0 ? [null] : services).map((service) => ({ ...problem, service }));
  });
}

type FailedStart = Extract<Start, { readonly kind: 'failed' }>;

export function startFailed(
  { why, complaints, lostSockets = false }: Pick<FailedStart, 'why' | 'complaints'> & Partial<FailedStart>,
  sections: readonly Section[],
  file: string,
): Outcome {
  const problems = toProblems(complaints, sections, [file]);
  const words = complaints.map(({ message }) => message).join('; ');
  const error = new AppError(
    'MYELIN_HAPROXY_FAILED',
    `the new HAProxy did not start (${why})${words && `: ${words}`}`,
    {
      remedy: lostSockets
        ? 'the old process does not hand its listening sockets over: its stats sockets may have as many connections as ' +
          '`stats maxconn` allows, all of them together; close those that are not needed'
        : `the refused file is kept as ${file}.rejected`,
    },
  );
  return { kind: 'failed', error, problems };
}

/** A removed socket cannot be restored: the process can neither hand on its listening sockets nor get a new socket. */
export function outOfReach(pid: number, sockets: readonly string[]): AppError {
  return new AppError(
    'MYELIN_HAPROXY_UNAVAILABLE',
    `no path leads to the HAProxy that serves (pid ${pid}) any more: ${sockets.join(' and ')} were removed; ` +
      'its servers follow, and nothing else can be changed in it',
    {
      remedy:
        `tell it to finish what it has (kill -USR1 ${pid}): Myelin starts another one in its place, and new connections are ` +
        'refused for that moment',
    },
  );
}

/** Any thrown value as an AppError; an unexpected one keeps its own words. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (hasCode(error, 'ENOENT', 'EACCES', 'ENOEXEC', 'ETXTBSY') && error instanceof Error && 'spawnargs' in error)
    return new AppError('MYELIN_HAPROXY_UNAVAILABLE', `HAProxy cannot be run: ${describe(error)}`, { cause: error });
  return new AppError('MYELIN_HAPROXY_FAILED', describe(error), { cause: error });
}

export function unexpectedReply({ command, reply }: UnexpectedReply): AppError {
  const words = reply === '' ? 'nothing' : JSON.stringify(reply);
  const what = `${resourceOf(command).describe(command)} of ${ownerOf(command)}`;
  return new AppError('MYELIN_SOCKET_FAILED', `HAProxy answered ${words} to ${what}`);
}
