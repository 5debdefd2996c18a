/**
 * HTTP/2 clients that follow the protocol (RFC 9113): told to go away, they finish what they asked for, and ask the rest
 * over another connection. HAProxy answers everything that reaches it, even what crosses its GOAWAY on the way; but a
 * client's own library (nghttp2: Node, curl, h2load) does not send any more what it holds in its queue at that moment,
 * and refuses it as REFUSED_STREAM, which says that nobody has seen it and it may be asked again. h2load does neither:
 * it opens no other connection and counts all that it had left as errors.
 */
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { quantile } from '../support/figures.ts';
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
};

type Answer = { readonly kind: 'complete' | 'refused' } | { readonly kind: 'failed'; readonly why: string };

export async function h2({ url, concurrency, requests, streams }: H2Options): Promise<H2Load> {
  const failures = new Map<string, number>();
  const latenciesMs: number[] = [];
  let left = requests;
  let complete = 0;
  let goaways = 0;
  const failed = (why: string): void => void failures.set(why, (failures.get(why) ?? 0) + 1);

  const client = async (): Promise<void> => {
    while (left > 0) {
      const session = connect(url, { rejectUnauthorized: false });
      let isToldToGo = false;
      session.once('goaway', () => {
        isToldToGo = true;
        goaways += 1;
      });
      session.on('error', (error) => failed(`connection: ${describe(error)}`));
      await new Promise<void>((resolve) => {
        session.once('connect', () => resolve());
        session.once('close', () => resolve());
      });
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
      session.destroy();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  const count = [...failures.values()].reduce((sum, each) => sum + each, 0);
  const [p50Ms, p99Ms] =
    latenciesMs.length === 0 ? [null, null] : [quantile(latenciesMs, 0.5), quantile(latenciesMs, 0.99)];
  return { complete, failed: count, goaways, p50Ms, p99Ms, output: JSON.stringify(Object.fromEntries(failures)) };
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
    stream.setTimeout(10_000, () => stream.close(constants.NGHTTP2_CANCEL));
    stream.resume();
    stream.once('close', () => {
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
