/** `myelin servers`: each server, with what its source says of it beside what HAProxy says. */

import { exitCodes } from '../../errors.ts';
import { wallClock } from '../../lib/time/clock.ts';
import type { ServerStatus } from '../../report/servers.ts';
import { printableJson } from '../../report/text/printable.ts';
import type { Globals } from '../globals.ts';
import { formatServers } from '../text/servers-text.ts';
import { askRunning } from './find.ts';

export async function servers(globals: Globals, service: string | undefined): Promise<number> {
  const query = service === undefined ? '' : `?service=${encodeURIComponent(service)}`;
  const list = (await askRunning(globals.config, 'GET', `/api/v1/servers${query}`)) as readonly ServerStatus[];
  process.stdout.write(globals.json ? `${printableJson(list, 2)}\n` : formatServers(list, wallClock()));
  return exitCodes.ok;
}
