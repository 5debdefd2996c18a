/** Endpoints from a JSON document on a web server, such as { "web": ["10.0.0.1:80", "10.0.0.2:80"] }. */
import { defineSource, type Endpoint, pause, someTime, watching, z } from 'myelin/watcher';

export const source = defineSource({
  type: 'http-json',
  settings: z
    .strictObject({
      url: z.url().describe('Where the document is.'),
      interval: someTime.prefault('1s').describe('From one read to the next.'),
    })
    .describe('Services of a JSON document on a web server.'),
  query: z
    .strictObject({
      service: z.string().optional().describe('Key in the document. Default: the name of the service here.'),
    })
    .describe('One service of the document.'),
  open: ({ url, interval }) =>
    watching(async ({ queries, signal, emit }) => {
      while (!signal.aborted) {
        const first = await read(url, signal);
        // That nobody serves is a fact only when a second read says so as well.
        const isSure = queries.every(({ key, settings }) => (first[settings.service ?? key] ?? []).length > 0);
        const second = isSure ? first : await read(url, signal);
        for (const { key, settings } of queries) {
          const name = settings.service ?? key;
          const addresses = first[name]?.length ? first[name] : second[name];
          emit({ kind: 'endpoints', key, endpoints: (addresses ?? []).map(endpointOf) });
        }
        await pause(interval, signal);
      }
    }),
});

const services = z.record(z.string(), z.array(z.string().regex(/^[^:]+:\d+$/)));

/** Rejects where the server cannot be reached, is silent for 5 s, or answers with anything else: the source has failed. */
async function read(url: string, signal: AbortSignal): Promise<Readonly<Record<string, readonly string[]>>> {
  const response = await fetch(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]),
    // One that is kept for the next read would outlive the watcher.
    headers: { connection: 'close' },
  });
  if (!response.ok) throw new Error(`${url} answers with status ${response.status}`);
  return services.parse(await response.json());
}

function endpointOf(text: string): Endpoint {
  const [address = '', port] = text.split(':');
  return { id: text, address, port: Number(port), weight: 1, state: 'ready' };
}
