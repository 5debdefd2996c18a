/** Serves the page and what it asks for, from values: no Myelin, no HAProxy. */
import type { AddressInfo } from 'node:net';
import { adminRoutes } from '../../../src/http/admin.ts';
import { formatEvent } from '../../../src/http/event-stream.ts';
import { pageRoutes } from '../../../src/http/page.ts';
import { createHttpServer, type Route } from '../../../src/http/server.ts';
import type { Status } from '../../../src/report/status.ts';
import { sceneEvents, scenePlans, sceneRoutes, sceneServers, sceneWhy } from '../values/scene.ts';

export type SceneServer = AsyncDisposable & { readonly url: string; status: Status };

export async function serveScene(status: Status): Promise<SceneServer> {
  const life = new AbortController();
  const events: Route = {
    method: 'GET',
    path: '/api/v1/events',
    answer: () => ({
      contentType: 'text/event-stream; charset=utf-8',
      stream(response, signal) {
        response.write(sceneEvents().map(formatEvent).join(''));
        signal.addEventListener('abort', () => response.end());
      },
    }),
  };
  const admin = adminRoutes({
    status: () => made.status,
    servers: async (service) => sceneServers(service ?? ''),
    service: async () => null,
    why: async (about) => sceneWhy(about),
    routes: (service) => sceneRoutes.filter((route) => service === null || route.service === service),
    plans: async () => scenePlans,
    config: () => ({}),
    reload: async () => ({}),
    accept: () => [],
    override: async () => {},
    stop: async () => null,
  });
  const server = createHttpServer({
    routes: [...pageRoutes(), ...admin, events],
    signal: life.signal,
    onError: (error) => {
      throw error;
    },
  });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const made: SceneServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    status,
    async [Symbol.asyncDispose]() {
      life.abort();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return made;
}
