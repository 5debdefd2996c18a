/**
 * A light load that lasts as long as what it watches: kept connections, a new connection every 10 ms that meets any gap,
 * and connections in the middle of a request, which an end that does not wait for them would cut.
 */
import assert from 'node:assert/strict';
import { Agent, get } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import timers from 'node:timers/promises';
import type { Ms } from '../../src/model.ts';
import { endsWithin, until } from '../support/index.ts';

export type SteadyLoad = AsyncDisposable & {
  /** How often each body was answered. */
  readonly answers: ReadonlyMap<string, number>;
  /** Everything that a client would call a failure, with what it said. */
  readonly failures: readonly string[];
  /** Waits until `body` is answered by the next request on a new connection. */
  answeredBy(body: string, withinMs?: number): Promise<void>;
  /** Waits until so many more requests were answered. */
  goesOn(requests: number): Promise<void>;
  /** Ends the load, and asserts that it was one and that nothing failed. */
  endsWithoutFailure(): Promise<void>;
};

const keptConnections = 4;
const slowClients = 4;
const pauseMs = 10;
const slowRequestMs = 100;
/** A request that is on its way is waited for. */
const longestRequestMs: Ms = 10_000;

/** `port` on 127.0.0.1 must answer already. Whoever does not end it finds it ended, and failed, after `withinMs`. */
export function steadyLoad(port: number, { withinMs = 600_000 }: { readonly withinMs?: Ms } = {}): SteadyLoad {
  const ended = new AbortController();
  const answers = new Map<string, number>();
  const failures: string[] = [];
  const agents = Array.from({ length: keptConnections }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  const client = async (how: string, request: () => Promise<string>): Promise<void> => {
    while (!ended.signal.aborted) {
      await request().then(
        (body) => answers.set(body, (answers.get(body) ?? 0) + 1),
        (error: unknown) => failures.push(`${how}: ${String(error)}`),
      );
      await timers.setTimeout(pauseMs);
    }
  };
  const clients = [
    client('new connection', () => ask(port)),
    ...agents.map((agent) => client('kept connection', () => ask(port, agent))),
    ...Array.from({ length: slowClients }, () => client('slow request', () => askSlowly(port))),
  ];
  const answered = (): number => [...answers.values()].reduce((sum, count) => sum + count, 0);
  const what = `the steady load on port ${port}`;
  const end = async (): Promise<void> => {
    clearTimeout(timer);
    ended.abort();
    await endsWithin(what, 2 * longestRequestMs, () => Promise.all(clients));
    for (const agent of agents) agent.destroy();
  };
  const timer = setTimeout(() => {
    failures.push(`not over within ${withinMs} ms: ${what}`);
    end().catch((error: unknown) => failures.push(String(error)));
  }, withinMs).unref();
  return {
    answers,
    failures,
    async answeredBy(body, withinMs = 15_000) {
      await until(`${body} answers`, async () => (await ask(port, false)) === body, { withinMs, everyMs: 5 });
    },
    async goesOn(requests) {
      const goal = answered() + requests;
      await until(`${requests} more requests are answered`, () => answered() >= goal);
    },
    async endsWithoutFailure() {
      // What it watched may have been over in no time.
      await until('there was a load', () => answered() + failures.length > 10);
      await end();
      assert.deepEqual(failures, []);
    },
    [Symbol.asyncDispose]: end,
  };
}

/** The body of a 200 answer on 127.0.0.1; rejects for anything else. Without an agent over a connection of its own. */
export function ask(port: number, agent: Agent | false = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = agent === false ? { connection: 'close' } : {};
    const request = get({ host: '127.0.0.1', port, agent, headers, timeout: longestRequestMs }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(body.trim());
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    request.on('timeout', () => request.destroy(noAnswer()));
    request.on('error', reject);
  });
}

/** The same in two halves, `pauseMs` apart, over a connection of its own. */
export async function askSlowly(port: number, pauseMs: Ms = slowRequestMs): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(longestRequestMs, () => socket.destroy(noAnswer()));
  // The reading fails with it; by then it may be over.
  socket.on('error', () => {});
  const answer = text(socket);
  answer.catch(() => {});
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n');
  // Who is refused is told at once.
  await Promise.race([timers.setTimeout(pauseMs), answer]);
  socket.write('connection: close\r\n\r\n');
  const [head = '', body = ''] = (await answer).split('\r\n\r\n');
  const length = /^content-length: (\d+)$/im.exec(head)?.[1];
  if (!head.startsWith('HTTP/1.1 200 ') || length !== `${body.length}`)
    throw new Error(`no answer but ${JSON.stringify(`${head} ${body}`)}`);
  return body.trim();
}

function noAnswer(): Error {
  return new Error(`no answer within ${longestRequestMs} ms`);
}
