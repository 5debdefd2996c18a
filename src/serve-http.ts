/** Opens the control socket, and the admin API and the probes where the config wants them. */
import type { Config } from './config/schema.ts';
import { type AdminSources, adminRoutes, tcpRefusal } from './http/admin.ts';
import { eventsRoute } from './http/event-stream.ts';
import type { Events } from './http/events.ts';
import { type ProbeSources, probeRoutes } from './http/probes.ts';
import { listenTcp, listenUnix, type Route } from './http/server.ts';

export type HttpSources = AdminSources &
  ProbeSources & { readonly events: Events; readonly onError: (error: unknown) => void };

/** Throws where one of them cannot listen. All are closed when `signal` aborts: `closed` settles then. */
export async function serveHttp(
  { admin, probes }: Pick<Config, 'admin' | 'probes'>,
  sources: HttpSources,
  signal: AbortSignal,
): Promise<{ readonly closed: Promise<unknown> }> {
  const { onError } = sources;
  const forProbes = probeRoutes(sources);
  const routes = (): readonly Route[] => [...adminRoutes(sources), eventsRoute(sources.events), ...forProbes];
  const listening = [await listenUnix(admin.socket, 'admin.socket', { routes: routes(), signal, onError })];
  if (admin.listen !== undefined) {
    const refuse = tcpRefusal(admin.listen);
    listening.push(await listenTcp(admin.listen, 'admin.listen', { routes: routes(), signal, onError, refuse }));
  }
  if (probes.listen !== 'off')
    listening.push(await listenTcp(probes.listen, 'probes.listen', { routes: forProbes, signal, onError }));
  return { closed: Promise.all(listening.map(({ closed }) => closed)) };
}
