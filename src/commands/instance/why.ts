/** `myelin why`: why a service, a server, or a host and path gets traffic or none. */

import { exitCodes } from '../../errors.ts';
import { printableJson } from '../../report/text/printable.ts';
import type { Why } from '../../report/why.ts';
import type { Globals } from '../globals.ts';
import { formatWhy } from '../text/why-text.ts';
import { askRunning } from './find.ts';

export async function why(globals: Globals, about: string): Promise<number> {
  const answer = (await askRunning(globals.config, 'GET', `/api/v1/why?about=${encodeURIComponent(about)}`)) as Why;
  process.stdout.write(globals.json ? `${printableJson(answer, 2)}\n` : formatWhy(answer));
  return answer.serves ? exitCodes.ok : exitCodes.notWell;
}
