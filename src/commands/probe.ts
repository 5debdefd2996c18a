/** `myelin probe`: /healthz and /readyz over the control socket, for orchestrators that cannot ask over HTTP. */
import { exitCodes } from '../errors.ts';
import { askProbe } from '../http/client.ts';
import type { Globals } from './globals.ts';
import { findRunning } from './running.ts';

const paths = { live: '/healthz', ready: '/readyz' } as const;

export async function probe(globals: Globals, what: keyof typeof paths): Promise<number> {
  const { socket } = await findRunning(globals.config);
  const { isGood, words } = await askProbe(socket, paths[what]);
  process.stdout.write(`${globals.json ? JSON.stringify({ good: isGood, words }) : words}\n`);
  return isGood ? exitCodes.ok : exitCodes.unexpected;
}
