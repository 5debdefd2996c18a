/** `myelin reload`, `myelin accept` and `myelin stop`: orders to the running Myelin. */
import { exitCodes } from '../errors.ts';
import type { Accepted } from '../http/admin.ts';
import type { Globals } from './globals.ts';
import { askRunning } from './running.ts';

/** As long as a new process may take to prove itself, and a reload before it. */
const reloadTimeoutMs = 120_000;

export async function reload(globals: Globals): Promise<number> {
  const result = (await askRunning(globals.config, 'POST', '/api/v1/reload', { timeoutMs: reloadTimeoutMs })) as {
    readonly kind: string;
    readonly tookMs?: number;
  };
  if (globals.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else if (result.kind === 'reload') process.stdout.write(`reloaded in ${Math.round(result.tookMs ?? 0)} ms\n`);
  else process.stdout.write(`not reloaded: ${result.kind}; \`myelin status\` says why\n`);
  return result.kind === 'reload' ? exitCodes.ok : exitCodes.haproxyUnavailable;
}

/** That there is nothing to accept is no failure: what is wanted is so already, perhaps since a moment ago. */
export async function accept(globals: Globals, service: string): Promise<number> {
  const path = `/api/v1/accept/${encodeURIComponent(service)}`;
  const answer = (await askRunning(globals.config, 'POST', path)) as Accepted;
  const { endpoints } = answer;
  if (globals.json) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else if (endpoints === 0) process.stdout.write(`${service}: nothing is kept, what the sources say is served\n`);
  else process.stdout.write(`${service}: ${endpoints} ${endpoints === 1 ? 'endpoint goes' : 'endpoints go'}\n`);
  return exitCodes.ok;
}

export async function stop(globals: Globals): Promise<number> {
  const answer = await askRunning(globals.config, 'POST', '/api/v1/stop');
  process.stdout.write(globals.json ? `${JSON.stringify(answer)}\n` : 'myelin is stopping\n');
  return exitCodes.ok;
}
