/** `myelin status`: what the running Myelin does, for people or as JSON, once or again and again. */

import { wallClock } from '../clock.ts';
import { exitCodes } from '../errors.ts';
import type { Status } from '../http/status.ts';
import type { Globals } from './globals.ts';
import { askRunning } from './running.ts';
import { formatStatus } from './status-text.ts';
import { watchStatus } from './watch.ts';

export async function status(globals: Globals, { watch }: { readonly watch?: true }): Promise<number> {
  if (watch) return watchStatus(globals);
  const answer = (await askRunning(globals.config, 'GET', '/api/v1/status')) as Status;
  process.stdout.write(globals.json ? `${JSON.stringify(answer, null, 2)}\n` : formatStatus(answer, wallClock()));
  return exitCodes.ok;
}
