/**
 * HTTP/2 clients that follow the protocol (RFC 9113): told to go away, they finish what they asked for, and ask the rest
 * over another connection. HAProxy answers everything that reaches it, even what crosses its GOAWAY on the way; but a
 * client's own library (nghttp2: Node, curl, h2load) does not send any more what it holds in its queue at that moment,
 * and refuses it as REFUSED_STREAM, which says that nobody has seen it and it may be asked again. h2load does neither:
 * it opens no other connection and counts all that it had left as errors.
 */
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import type { Ms } from '../../src/model.ts';
import { endsWithin } from '../support/index.ts';
import { quantile } from '../support/load/figures.ts';
import type { Load } from './load.ts';

export type H2Load = Pick<Load, 'complete' | 'failed' | 'p50Ms' | 'p99Ms' | 'output'> & {
  /** Connections that were told to go away. */
  readonly goaways: number;
};

type H2Options = {
  readonly url: string;
  readonly concurrency: number;
  readonly requests: number;
  /** Requests at once on each connection. */
  readonly streams: number;
  readonly signal?: AbortSignal | undefined;
  /** Its last end, whatever it asks does. */
  readonly withinMs?: Ms;
};

const longestAnswerMs: Ms = 10_000;

type Answer = { readonly kind: 'complete' | 'refused' } | { readonly kind: 'failed'; readonly why: string };

export async function h2(options: H2Options): Promise<H2Load> {
  const { url, withinMs = 300_000, signal } = options;
  return endsWithin(`HTTP/2 clients of ${url}`, withinMs, (over) => load(options, over), signal);
}

async function load({ url, concurrency, requests, streams }: H2Options, over: AbortSignal): Promise<H2Load> {
  const failures = new Map<string, number>();
  const latenciesMs: number[] = [];
  let left = requests;
  let complete = 0;
  let goaways = 0;
  const failed = (why: string): void => void failures.set(why, (failures.get(why) ?? 0) + 1);

  const client = async (): Promise<void> => {
    while (left > 0 && !over.aborted) {
      const session = connect(url, { rejectUnauthorized: false });
      const cut = (): void => session.destroy();
      over.addEventListener('abort', cut, { once: true });
      let isToldToGo = false;
      session.once('goaway', () => {
        isToldToGo = true;
        goaways += 1;
      });
      session.on('error', (error) => failed(`connection: ${describe(error)}`));
      await connected(session);
      const askInTurn = async (): Promise<void> => {
        while (left > 0 && !session.closed && !session.destroyed) {
          left -= 1;
          const askedAt = performance.now();
          const answer = await ask(session);
          if (answer.kind === 'complete') {
            complete += 1;
            latenciesMs.push(performance.now() - askedAt);
          } else if (answer.kind === 'refused' && isToldToGo) left += 1;
          else failed(answer.kind === 'failed' ? answer.why : 'refused without a GOAWAY');
        }
      };
      await Promise.all(Array.from({ length: streams }, askInTurn));
      over.removeEventListener('abort', cut);
      session.destroy();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  const count = [...failures.values()].reduce((sum, each) => sum + each, 0);
  const [p50Ms, p99Ms] =
    latenciesMs.length === 0 ? [null, null] : [quantile(latenciesMs, 0.5), quantile(latenciesMs, 0.99)];
  return { complete, failed: count, goaways, p50Ms, p99Ms, output: JSON.stringify(Object.fromEntries(failures)) };
}

/** Or closed. */
function connected(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => session.destroy(new Error('no connection in time')), longestAnswerMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    session.once('connect', done);
    session.once('close', done);
  });
}

function ask(session: ClientHttp2Session): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = session.request({ ':path': '/' });
    let status = 0;
    let hasEnded = false;
    let error: Error | null = null;
    stream.once('response', (headers) => {
      status = headers[':status'] ?? 0;
    });
    stream.once('end', () => {
      hasEnded = true;
    });
    stream.once('error', (thrown) => {
      error = thrown;
    });
    // One that was cut together with its connection may never say that it is closed.
    const timer = setTimeout(() => {
      resolve({ kind: 'failed', why: `no answer within ${longestAnswerMs} ms` });
      stream.destroy();
    }, longestAnswerMs);
    stream.resume();
    stream.once('close', () => {
      clearTimeout(timer);
      const { rstCode } = stream;
      if (error === null && hasEnded && status === 200) resolve({ kind: 'complete' });
      else if (rstCode === constants.NGHTTP2_REFUSED_STREAM && status === 0) resolve({ kind: 'refused' });
      else
        resolve({ kind: 'failed', why: `status ${status}, stream ${rstCode}${error ? `, ${describe(error)}` : ''}` });
    });
  });
}

function describe(error: Error): string {
  return 'code' in error ? String(error.code) : error.message;
}
