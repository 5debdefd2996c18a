/** `myelin status --watch`: prints the status again whenever something changes, with the last events. */
import timers from 'node:timers';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError, describe, exitCodes } from '../../errors.ts';
import { followEvents, getStatus } from '../../http/client.ts';
import { Mailbox } from '../../lib/mailbox.ts';
import type { Ms } from '../../model.ts';
import type { Status } from '../../report/status.ts';
import type { Globals } from '../globals.ts';
import { type Display, openDisplay, shownEvents, type WatchView } from '../text/display.ts';
import { findRunning, isNotRunning } from './find.ts';
import { interrupted } from './interrupted.ts';

/** For what changes without an event, and for the ages. */
const refreshMs: Ms = 1000;

/** Between two looks: what comes together is shown together. */
const gatherMs: Ms = 100;

const againMs: Ms = 1000;

/** Throws the AppError of a Myelin that is not there, also when it goes away later. */
export async function watchStatus(globals: Globals): Promise<number> {
  const stop = interrupted();
  const { signal } = stop;

  let last: Omit<WatchView, 'status'> = { events: [], eventsTrouble: null };
  const news = new Mailbox<null>();
  const lookAgain = (): void => news.put('', null);
  const refresh = timers.setInterval(lookAgain, refreshMs);
  let following: Promise<void> | null = null;
  let display: Display | null = null;
  try {
    const { socket, ask } = await findRunning(globals.config);
    let status = (await ask('GET', '/api/v1/status', { signal })) as Status;
    following = follow(socket, signal, (change) => {
      last = change(last);
      lookAgain();
    });
    display = openDisplay(globals.json, lookAgain);
    display.show({ status, ...last });
    for await (const _ of news.read(signal)) {
      status = await look(socket, signal);
      display.show({ status, ...last });
      await pause(gatherMs, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    timers.clearInterval(refresh);
    stop.abort();
    display?.close();
    await following;
  }
  return exitCodes.ok;
}

/** Repeats a query that was cut off: Myelin may have ended in the middle of its answer, and is then absent. */
async function look(socket: string, signal: AbortSignal): Promise<Status> {
  try {
    return await getStatus(socket, { signal });
  } catch (error) {
    if (signal.aborted || isNotRunning(error)) throw error;
    return getStatus(socket, { signal });
  }
}

type Change = (last: Omit<WatchView, 'status'>) => Omit<WatchView, 'status'>;

/** Settles when `signal` has aborted. The end of the events is no failure: the status shows whether Myelin runs. */
async function follow(socket: string, signal: AbortSignal, tell: (change: Change) => void): Promise<void> {
  let lastId: string | null = null;
  while (!signal.aborted) {
    try {
      for await (const event of followEvents(socket, { lastId, signal })) {
        lastId = event.id;
        tell(({ events }) => ({ events: [...events, event].slice(-shownEvents), eventsTrouble: null }));
      }
      tell((last) => last);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof AppError)) throw error;
      tell((last) => ({ ...last, eventsTrouble: describe(error) }));
    }
    // It rejects only because the watching ends.
    await pause(againMs, undefined, { signal }).catch(() => {});
  }
}
