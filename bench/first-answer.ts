/**
 * A client that sees when a new server gives its first answer. It runs in a thread of its own and pauses between two
 * requests: it neither waits for what the benchmark does itself, nor takes the processor from those that are measured.
 */
import { once } from 'node:events';
import { Agent } from 'node:http';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import type { Ms } from '../src/model.ts';
import { ask } from '../test/servers/steady.ts';

type Question = { readonly port: number; readonly name: string };

type Said =
  | { readonly kind: 'asking' }
  | { readonly kind: 'answered'; readonly at: Ms }
  | { readonly kind: 'failed'; readonly reason: string };

type FirstAnswer = { readonly at: Promise<Ms> };

export type Client = AsyncDisposable & {
  /** Settles once it asks on `port` over a kept connection; `at` when the server `name` has answered. */
  ask(question: Question): Promise<FirstAnswer>;
};

/** The same clock in every thread. */
export function now(): Ms {
  return Number(process.hrtime.bigint()) / 1e6;
}

export function startClient(): Client {
  const worker = new Worker(new URL(import.meta.url));
  const next = async (kind: Said['kind']): Promise<Said> => {
    const [said] = (await once(worker, 'message')) as [Said];
    if (said.kind !== kind) throw new Error(said.kind === 'failed' ? said.reason : `${said.kind}, and not ${kind}`);
    return said;
  };
  return {
    async ask(question) {
      worker.postMessage(question);
      await next('asking');
      const answered = next('answered').then((said) => ('at' in said ? said.at : Number.NaN));
      return { at: answered };
    },
    [Symbol.asyncDispose]: async () => void (await worker.terminate()),
  };
}

/** From one answer to the next request. */
const pauseMs: Ms = 0.5;
const longestMs: Ms = 60_000;

if (!isMainThread) {
  const say = (said: Said): void => parentPort?.postMessage(said);
  parentPort?.on('message', (question: Question) => {
    answered(question, () => say({ kind: 'asking' })).then(
      (at) => say({ kind: 'answered', at }),
      (error: unknown) => say({ kind: 'failed', reason: String(error) }),
    );
  });
}

/** Of several servers in turn the new one answers at the latest when each of the others has. */
async function answered({ port, name }: Question, onFirst: () => void): Promise<Ms> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const deadline = now() + longestMs;
  const pausing = new Int32Array(new SharedArrayBuffer(4));
  try {
    if ((await ask(port, agent)) === name) throw new Error(`${name} answers before it was added`);
    onFirst();
    while (now() < deadline) {
      // Finer than a timer, which rounds to milliseconds.
      Atomics.wait(pausing, 0, 0, pauseMs);
      if ((await ask(port, agent)) === name) return now();
    }
    throw new Error(`${name} does not answer on port ${port}`);
  } finally {
    agent.destroy();
  }
}
