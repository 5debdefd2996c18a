/** Single requests to a port of this machine, and many of them that watch for a gap. */
import { get as httpGet } from 'node:http';
import { connect } from 'node:net';
import timers from 'node:timers/promises';
import { askSlowly } from '../../servers/steady.ts';

/** The answer's body, or the error of a connection that failed. */
export async function get(port: number, path = '/'): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });
  const body = (await response.text()).trim();
  return response.ok ? body : `${response.status}`;
}

/** The answer to a request for a host: its body, or the status where it is no 200. */
export function answerOf(port: number, host: string, path = '/'): Promise<string> {
  return new Promise((fulfil, reject) => {
    const asking = httpGet({ host: '127.0.0.1', port, path, headers: { host }, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => fulfil(response.statusCode === 200 ? text.trim() : String(response.statusCode)));
    });
    asking.on('error', reject);
  });
}

/** Asks every 10 ms over a new connection, and slowly over others, until it is disposed; every failure is kept. */
export function probe(
  port: number,
): AsyncDisposable & { readonly failures: readonly string[]; readonly asked: () => number } {
  const ended = new AbortController();
  const failures: string[] = [];
  let asked = 0;
  const run = async (request: () => Promise<string>): Promise<void> => {
    while (!ended.signal.aborted) {
      asked += 1;
      await request().then(
        (body) => /^\d{3}$/.test(body) && failures.push(body),
        (error: unknown) => failures.push(String(error instanceof Error ? (error.cause ?? error) : error)),
      );
      await timers.setTimeout(10);
    }
  };
  const running = [run(() => get(port)), ...Array.from({ length: 4 }, () => run(() => askSlowly(port)))];
  return {
    failures,
    asked: () => asked,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await Promise.all(running);
    },
  };
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}
