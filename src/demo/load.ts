/**
 * The demo's clients, in their own thread so that the rest of the demo does not affect their latencies: they send
 * requests over new connections, over kept-alive ones and over TLS, one after the other, until they are stopped.
 */
import { Agent as HttpAgent, get as httpGet } from 'node:http';
import { get as httpsGet, Agent as TlsAgent } from 'node:https';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { startOwnWorker } from '../lib/own-package.ts';

export type LoadTargets = { readonly http: string; readonly https: string; readonly clientsEach: number };

export type LoadReport = {
  readonly requests: number;
  readonly failed: number;
  /** The number of failures of each kind, such as `ECONNRESET` or `status 503`. */
  readonly failures: Readonly<Record<string, number>>;
  /** The number of requests by the name of the backend that answered. */
  readonly answers: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
};

export type Load = {
  /** The latest report; null before the first one. */
  readonly report: LoadReport | null;
  /** Stops the clients and returns the final report. */
  stop(): Promise<LoadReport>;
};

export function startLoad(targets: LoadTargets): Load {
  const worker = startOwnWorker('src/demo/load', { workerData: targets });
  const ended = Promise.withResolvers<LoadReport>();
  let last: LoadReport | null = null;
  worker.on('message', (load: LoadReport) => {
    last = load;
  });
  worker.once('error', ended.reject);
  worker.once('exit', () => {
    if (last === null) ended.reject(new Error('the load ended without a report'));
    else ended.resolve(last);
  });
  // `stop` returns this failure; until then nobody handles it.
  ended.promise.catch(() => {});
  return {
    get report() {
      return last;
    },
    stop() {
      worker.postMessage('stop');
      return ended.promise;
    },
  };
}

if (!isMainThread && parentPort !== null) await runClients(workerData as LoadTargets, parentPort);

async function runClients(targets: LoadTargets, port: NonNullable<typeof parentPort>): Promise<void> {
  const stopping = new AbortController();
  port.once('message', () => stopping.abort());

  const latenciesMs: number[] = [];
  const failures: Record<string, number> = {};
  const answers: Record<string, number> = {};
  let failed = 0;
  const report = (): LoadReport => {
    const sorted = Float64Array.from(latenciesMs).sort();
    const quantile = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return {
      requests: latenciesMs.length + failed,
      failed,
      failures,
      answers,
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
    };
  };

  const client = async (ask: () => Promise<string>): Promise<void> => {
    while (!stopping.signal.aborted) {
      const startedAt = performance.now();
      try {
        const backend = await ask();
        latenciesMs.push(performance.now() - startedAt);
        answers[backend] = (answers[backend] ?? 0) + 1;
      } catch (error) {
        const kind = error instanceof Error && 'code' in error ? String(error.code) : String(error);
        failures[kind] = (failures[kind] ?? 0) + 1;
        failed++;
      }
    }
  };

  const keepAlive = new HttpAgent({ keepAlive: true });
  const keepAliveTls = new TlsAgent({ keepAlive: true, rejectUnauthorized: false });
  const timer = setInterval(() => port.postMessage(report()), 400);
  await Promise.all(
    Array.from({ length: targets.clientsEach }, () => [
      client(() => answer((done) => httpGet(targets.http, { agent: false, headers: { connection: 'close' } }, done))),
      client(() => answer((done) => httpGet(targets.http, { agent: keepAlive }, done))),
      client(() => answer((done) => httpsGet(targets.https, { agent: keepAliveTls }, done))),
    ]).flat(),
  );
  clearInterval(timer);
  keepAlive.destroy();
  keepAliveTls.destroy();
  port.postMessage(report());
}

/** The body of a 200 response; everything else is a failure. */
function answer(ask: (done: Parameters<typeof httpGet>[2] & {}) => ReturnType<typeof httpGet>): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = ask((response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(body.trim());
        else reject(Object.assign(new Error('status'), { code: `status ${response.statusCode}` }));
      });
    });
    request.setTimeout(10_000, () => request.destroy(Object.assign(new Error('timeout'), { code: 'timeout' })));
    request.on('error', reject);
  });
}
