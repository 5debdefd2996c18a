/** `myelin events`: what happened, and with `--follow` what happens, a line each. */
import { setTimeout as pause } from 'node:timers/promises';
import { AppError, describe, exitCodes } from '../../errors.ts';
import { followEvents } from '../../http/client.ts';
import type { Ms } from '../../model.ts';
import type { Event } from '../../report/events.ts';
import { concerns } from '../../report/history/concerns.ts';
import type { PastEvent } from '../../report/history/kept.ts';
import { formatEventLine } from '../../report/text/event-text.ts';
import { printableJson } from '../../report/text/printable.ts';
import type { Globals } from '../globals.ts';
import { findRunning } from './find.ts';
import { interrupted } from './interrupted.ts';

export type EventsOptions = { readonly since: string; readonly follow?: true };

const againMs: Ms = 1000;

export async function events(
  globals: Globals,
  service: string | undefined,
  { since, follow }: EventsOptions,
): Promise<number> {
  const { socket, ask } = await findRunning(globals.config);
  const show = (event: Event | PastEvent): void => {
    process.stdout.write(`${globals.json ? printableJson(event) : formatEventLine(event)}\n`);
  };
  const query = new URLSearchParams({ since, ...(service === undefined ? {} : { service }) });
  if (!follow) {
    for (const event of (await ask('GET', `/api/v1/history?${query}`)) as readonly PastEvent[]) show(event);
    return exitCodes.ok;
  }
  // Says at once that no Myelin runs, or that `since` is no time.
  await ask('GET', `/api/v1/history?${query}`);
  await followOn(socket, since, (event) => {
    if (service === undefined || concerns(event, service)) show(event);
  });
  return exitCodes.ok;
}

/** Over restarts of Myelin, until somebody ends it. */
async function followOn(socket: string, from: string, show: (event: Event | PastEvent) => void): Promise<void> {
  const { signal } = interrupted();
  let [since, isTold] = [from, false];
  while (!signal.aborted) {
    try {
      for await (const event of followEvents(socket, { lastId: null, since, signal })) {
        [since, isTold] = [String(lastTime(event) + 1), false];
        show(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof AppError)) throw error;
      if (!isTold) process.stderr.write(`${describe(error)}; trying again\n`);
      isTold = true;
    }
    // It rejects only because this ends.
    await pause(againMs, undefined, { signal }).catch(() => {});
  }
}

function lastTime(event: Event | PastEvent): number {
  return 'lastAt' in event ? event.lastAt : event.at;
}
