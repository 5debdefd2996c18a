/** `myelin reload`, `accept`, `server` and `stop`: what the running Myelin is to do. */

import { loadConfig } from '../../config/load.ts';
import { readTime } from '../../config/values.ts';
import { AppError, exitCodes } from '../../errors.ts';
import type { Accepted, Overridden, Stopping } from '../../http/admin.ts';
import { askMyelin } from '../../http/client.ts';
import { wallClock } from '../../lib/time/clock.ts';
import type { Timestamp } from '../../model.ts';
import { age } from '../../report/text/format.ts';
import { printable, printableJson } from '../../report/text/printable.ts';
import type { Globals } from '../globals.ts';
import { askRunning, isNotRunning } from './find.ts';

/** As long as a new process may take to prove itself, and a reload before it. */
const reloadTimeoutMs = 120_000;

export async function reload(globals: Globals): Promise<number> {
  const result = (await askRunning(globals.config, 'POST', '/api/v1/reload', { timeoutMs: reloadTimeoutMs })) as {
    readonly kind: string;
    readonly tookMs?: number;
  };
  if (globals.json) process.stdout.write(`${printableJson(result, 2)}\n`);
  else if (result.kind === 'reload') process.stdout.write(`reloaded in ${Math.round(result.tookMs ?? 0)} ms\n`);
  else process.stdout.write(`not reloaded: ${result.kind}; \`myelin status\` says why\n`);
  return result.kind === 'reload' ? exitCodes.ok : exitCodes.haproxyUnavailable;
}

/** Nothing to accept is no failure: the desired state may have been accepted a moment ago. */
export async function accept(
  globals: Globals,
  service: string | undefined,
  { all }: { readonly all?: true },
): Promise<number> {
  if ((service === undefined) === (all === undefined))
    throw new AppError('MYELIN_USAGE', 'accept takes the name of one service, or --all', {
      remedy: '`myelin status --problems` names the services whose endpoints are kept',
    });
  const path = service === undefined ? '/api/v1/accept' : `/api/v1/accept/${encodeURIComponent(service)}`;
  const answer = (await askRunning(globals.config, 'POST', path)) as Accepted | readonly Accepted[];
  const accepted: readonly Accepted[] = Array.isArray(answer) ? answer : [answer];
  const lines = accepted.map(({ service: name, endpoints }) => `${printable(name)}: ${describeAccepted(endpoints)}\n`);
  const text = lines.length === 0 ? 'nothing is kept, what the sources say is served\n' : lines.join('');
  process.stdout.write(globals.json ? `${printableJson(answer)}\n` : text);
  return exitCodes.ok;
}

function describeAccepted(endpoints: number): string {
  if (endpoints === 0) return 'nothing is kept, what the sources say is served';
  return endpoints === 1 ? '1 endpoint goes' : `${endpoints} endpoints go`;
}

/** `name` is SERVICE/NAME, as `myelin status` and HAProxy write it; `time`, where given, a duration. */
export async function server(
  globals: Globals,
  state: Overridden['state'],
  name: string,
  { for: time }: { readonly for?: string },
): Promise<number> {
  const [service = '', ...rest] = name.split('/');
  const parts = [service, rest.join('/')];
  if (parts.includes(''))
    throw new AppError('MYELIN_USAGE', `${name} is not SERVICE/NAME`, {
      remedy: 'the names of the servers stand in haproxy.cfg, such as web/web-1',
    });
  if (time !== undefined) readTime('--for', time);
  const query = time === undefined ? '' : `?for=${encodeURIComponent(time)}`;
  const path = `/api/v1/servers/${[...parts, state].map(encodeURIComponent).join('/')}${query}`;
  const answer = (await askRunning(globals.config, 'POST', path, { timeoutMs: reloadTimeoutMs })) as Overridden;
  process.stdout.write(
    globals.json ? `${printableJson(answer)}\n` : `${printable(describeOverride(answer, wallClock()))}\n`,
  );
  return exitCodes.ok;
}

/** For people. */
export function describeOverride({ service, server, state, until }: Overridden, now: Timestamp): string {
  const name = `${service}/${server}`;
  const time = until === null ? '' : ` for another ${age(now, until)}`;
  const back = `\`myelin server ready ${name}\` gives it back`;
  switch (state) {
    case 'maint':
      return `${name} is in maintenance${time}; ${back}`;
    case 'drain':
      return `${name} finishes what it has and gets nothing new${time}; ${back}`;
    case 'ready':
      return `${name} serves again as its source says`;
  }
}

export async function stop(globals: Globals, options: { readonly haproxy?: true }): Promise<number> {
  if (options.haproxy === true) return stopAll(globals);
  const answer = (await askRunning(globals.config, 'POST', '/api/v1/stop')) as Partial<Stopping>;
  const { haproxy = null } = answer;
  const serves = haproxy === null ? '' : `${describeHaproxy(haproxy)} serves on; \`myelin stop --haproxy\` ends it\n`;
  process.stdout.write(globals.json ? `${printableJson(answer)}\n` : `myelin is stopping\n${serves}`);
  return exitCodes.ok;
}

/** Ends HAProxy as well, also where no Myelin runs any more. */
async function stopAll(globals: Globals): Promise<number> {
  const { config } = await loadConfig(globals.config, process.env);
  const isRunning = await askMyelin(config.admin.socket, 'POST', '/api/v1/stop').then(
    () => true,
    (error: unknown) => {
      if (isNotRunning(error)) return false;
      throw error;
    },
  );
  const { endHaproxies } = await import('../../apply/process/left.ts');
  const ended = await endHaproxies(config);
  if (globals.json) process.stdout.write(`${printableJson({ stopping: isRunning, ended })}\n`);
  else {
    const lines = ended.map((each) => `${describeHaproxy(each)} has ended\n`);
    const none = isRunning ? 'no HAProxy of it runs any more\n' : 'no HAProxy of this config runs\n';
    process.stdout.write((isRunning ? 'myelin is stopping\n' : '') + (lines.join('') || none));
  }
  return exitCodes.ok;
}

function describeHaproxy({ pid, binds }: { readonly pid: number; readonly binds: readonly string[] }): string {
  return `HAProxy (pid ${pid}${binds.length === 0 ? '' : `, ${few(binds)}`})`;
}

function few(binds: readonly string[]): string {
  return binds.length <= 5 ? binds.join(', ') : `${binds.slice(0, 5).join(', ')} and ${binds.length - 5} more`;
}
