/** `myelin status`: what the running Myelin does, for people or as JSON, once or again and again. */

import { exitCodes } from '../../errors.ts';
import { wallClock } from '../../lib/time/clock.ts';
import type { Status } from '../../report/status.ts';
import { printableJson } from '../../report/text/printable.ts';
import type { Globals } from '../globals.ts';
import { formatStatus } from '../text/status-text.ts';
import { askRunning } from './find.ts';
import { watchStatus } from './watch.ts';

export async function status(globals: Globals, { watch }: { readonly watch?: true }): Promise<number> {
  if (watch) return watchStatus(globals);
  const answer = (await askRunning(globals.config, 'GET', '/api/v1/status')) as Status;
  process.stdout.write(globals.json ? `${printableJson(answer, 2)}\n` : formatStatus(answer, wallClock()));
  return answer.state === 'ready' ? exitCodes.ok : exitCodes.notWell;
}
