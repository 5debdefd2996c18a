/** `myelin status`: what the running Myelin does, one service in full, or what is not well; for people or as JSON, once or again and again. */

import { AppError, exitCodes } from '../../errors.ts';
import { wallClock } from '../../lib/time/clock.ts';
import type { ServiceReport } from '../../report/service-report.ts';
import type { Status } from '../../report/status.ts';
import { problemsOf } from '../../report/status-problems.ts';
import { printableJson } from '../../report/text/printable.ts';
import type { Globals } from '../globals.ts';
import { formatProblems } from '../text/problems-text.ts';
import { formatService } from '../text/service-text.ts';
import { formatStatus } from '../text/status-text.ts';
import { askRunning } from './find.ts';
import { watchStatus } from './watch.ts';

type Options = { readonly watch?: true; readonly problems?: true };

export async function status(
  globals: Globals,
  service: string | undefined,
  { watch, problems }: Options,
): Promise<number> {
  const given = [watch, problems, service].filter((one) => one !== undefined);
  if (given.length > 1)
    throw new AppError('MYELIN_USAGE', '`status` takes one of SERVICE, --problems and --watch at a time');
  if (watch) return watchStatus(globals);
  const now = wallClock();
  if (service !== undefined) {
    const path = `/api/v1/services/${encodeURIComponent(service)}`;
    const report = (await askRunning(globals.config, 'GET', path)) as ServiceReport;
    show(globals, report, () => formatService(report, now));
    const { health, stale, quarantined } = report.service;
    return health?.isDown === false && stale === null && quarantined === null ? exitCodes.ok : exitCodes.notWell;
  }
  const answer = (await askRunning(globals.config, 'GET', '/api/v1/status')) as Status;
  if (problems) {
    const found = problemsOf(answer, now);
    show(globals, found, () => formatProblems(found, now));
  } else show(globals, answer, () => formatStatus(answer, now));
  return answer.state === 'ready' ? exitCodes.ok : exitCodes.notWell;
}

function show({ json }: Globals, answer: unknown, format: () => string): void {
  process.stdout.write(json ? `${printableJson(answer, 2)}\n` : format());
}
