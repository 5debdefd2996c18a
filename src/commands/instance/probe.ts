/** `myelin probe`: /healthz and /readyz over the control socket, for orchestrators that cannot ask over HTTP. */
import { exitCodes } from '../../errors.ts';
import { askProbe } from '../../http/client.ts';
import { printableJson, printableLines } from '../../report/text/printable.ts';
import type { Globals } from '../globals.ts';

const paths = { live: '/healthz', ready: '/readyz' } as const;

/** `given`: the control socket; to find it in the config takes longer than to ask there. */
export async function probe(globals: Globals, what: keyof typeof paths, given: string | undefined): Promise<number> {
  const { socket } = given === undefined ? await findRunning(globals.config) : { socket: given };
  const { isGood, words } = await askProbe(socket, paths[what]);
  process.stdout.write(`${globals.json ? printableJson({ good: isGood, words }) : printableLines(words)}\n`);
  return isGood ? exitCodes.ok : exitCodes.unexpected;
}

async function findRunning(config: string): Promise<{ readonly socket: string }> {
  return (await import('./find.ts')).findRunning(config);
}
