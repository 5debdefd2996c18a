/** Opens the control socket, and the admin API and the probes where the config wants them. */
import timers from 'node:timers/promises';
import type { Config } from '../config/schema.ts';
import { hasCode } from '../errors.ts';
import type { Ms } from '../model.ts';
import { type AdminSources, adminRoutes, tcpRefusal } from './admin.ts';
import { type EventSources, eventsRoute, historyRoute } from './event-stream.ts';
import { type Listening, listenTcp, listenUnix } from './listen.ts';
import { pageRoutes } from './page.ts';
import { type ProbeSources, probeRoutes } from './probes.ts';
import type { Route } from './server.ts';

export type HttpSources = AdminSources &
  ProbeSources &
  EventSources & {
    readonly onError: (error: unknown) => void;
    /** The previous Myelin still uses an address; this one listens there when the previous one has ended. */
    readonly onWait: (error: unknown) => void;
    /** The control socket was removed, and was created again. */
    readonly onRestored: (path: string) => void;
    /** The control socket cannot be created again. */
    readonly onTrouble: (error: unknown) => void;
  };

const tryAgainAfterMs: Ms = 1000;
const restoreEveryMs: Ms = 1000;

/** Throws where a server cannot listen. All servers close when `signal` aborts; then `closed` settles. */
export async function serveHttp(
  { admin, probes, haproxy }: Pick<Config, 'admin' | 'probes' | 'haproxy'>,
  sources: HttpSources,
  signal: AbortSignal,
): Promise<{ readonly closed: Promise<unknown> }> {
  const { onError, onWait, onRestored, onTrouble } = sources;
  const listen: typeof listenTcp =
    haproxy.handover === undefined ? listenTcp : (...where) => listenInTime(onWait, where);
  const forProbes = probeRoutes(sources);
  const routes = (): readonly Route[] => [
    ...adminRoutes(sources),
    eventsRoute(sources),
    historyRoute(sources),
    ...forProbes,
  ];
  const control = { routes: routes(), signal, onError };
  const restoring = { everyMs: restoreEveryMs, onRestored: () => onRestored(admin.socket), onTrouble };
  const listening = [await listenUnix(admin.socket, 'admin.socket', control, restoring)];
  if (admin.listen !== undefined) {
    const refuse = tcpRefusal({ ...admin, listen: admin.listen });
    const forPeople = [...pageRoutes(), ...routes()];
    listening.push(await listen(admin.listen, 'admin.listen', { routes: forPeople, signal, onError, refuse }));
  }
  if (probes.listen !== 'off')
    listening.push(await listen(probes.listen, 'probes.listen', { routes: forProbes, signal, onError }));
  return { closed: Promise.all(listening.map(({ closed }) => closed)) };
}

/** Listens at once, or as soon as another process frees the address. */
async function listenInTime(onWait: HttpSources['onWait'], where: Parameters<typeof listenTcp>): Promise<Listening> {
  const [, , { signal, onError }] = where;
  try {
    return await listenTcp(...where);
  } catch (error) {
    if (!isTaken(error)) throw error;
    onWait(error);
  }
  const wait = async (): Promise<void> => {
    for (;;) {
      await timers.setTimeout(tryAgainAfterMs, undefined, { signal });
      const listening = await listenTcp(...where).catch((error: unknown) => {
        if (isTaken(error)) return null;
        throw error;
      });
      if (listening !== null) return listening.closed;
    }
  };
  const closed = wait().catch((error: unknown) => {
    if (!signal.aborted) onError(error);
  });
  return { closed };
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && hasCode(error.cause, 'EADDRINUSE');
}
