/**
 * A client in a process of its own, for the benchmarks: asks for one thing over and over on a connection that is kept, and
 * tells its parent when the awaited answer came, and what it was answered before. `startAsking` starts one.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Ms } from '../src/model.ts';
import { now } from './clock.ts';
import { messageOf } from './process.ts';

type Place = { readonly port: number; readonly host: string; readonly path?: string };
/** `answer`: the body of a 200, else the status. */
type Task = Place & { readonly answer: string };
/** `before`: how often each other answer came, by what it was; `closed` where there was none. */
type Told = { readonly at: Ms; readonly before: Readonly<Record<string, number>> };

export type Asking = AsyncDisposable & {
  /** Asks from now on; settles with the moment of the first answer with this body. */
  until(task: Place & { readonly body: string }): Promise<Ms>;
  /** The same for any answer, and with what came before it. */
  first(task: Task): Promise<Told>;
};

export async function startAsking(): Promise<Asking> {
  const child = fork(fileURLToPath(import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  await messageOf(child);
  const first: Asking['first'] = async (task) => {
    child.send(task);
    const told = (await messageOf(child)) as Told | string;
    if (typeof told === 'string') throw new Error(told);
    return told;
  };
  return {
    first,
    until: async ({ body, ...place }) => (await first({ ...place, answer: body })).at,
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await exited;
    },
  };
}

const giveUpMs: Ms = 60_000;
/** From one answer to the next request: how exactly the moment is known. */
const pauseMs: Ms = 0.05;

/** What was answered, as in a task; null where the connection was closed, as by a HAProxy that leaves. */
async function ask(socket: Socket, { host, path = '/' }: Place): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  let answer = '';
  const hear = (chunk: string): void => {
    answer += chunk;
    const [head = '', body] = answer.split('\r\n\r\n');
    const length = /^content-length: (\d+)\r?$/im.exec(head)?.[1];
    if (body === undefined || length === undefined || body.length < Number(length)) return;
    const [, status = ''] = head.split(' ');
    // Servers pad their answers, so that all are of one length.
    resolve(status === '200' ? body.trimEnd() : status);
  };
  const end = (): void => resolve(null);
  socket.on('data', hear).once('close', end);
  if (socket.destroyed) end();
  else socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const answered = await promise;
  socket.off('data', hear).off('close', end);
  return answered;
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('utf8');
  socket.setTimeout(5000, () => socket.destroy());
  // What breaks is closed as well.
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function perform({ answer, ...place }: Task): Promise<Told | string> {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  const deadline = performance.now() + giveUpMs;
  const before: Record<string, number> = {};
  let socket = await open(place.port);
  try {
    while (performance.now() < deadline) {
      const is = await ask(socket, place);
      if (is === answer) return { at: now(), before };
      before[is ?? 'closed'] = (before[is ?? 'closed'] ?? 0) + 1;
      if (is === null) {
        socket.destroy();
        socket = await open(place.port);
      }
      // Timers of the event loop have no parts of a millisecond.
      Atomics.wait(clock, 0, 0, pauseMs);
    }
    return `${answer} was not answered, but ${JSON.stringify(before)}`;
  } finally {
    socket.destroy();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('message', (task: Task) => {
    perform(task).then(
      (told) => process.send?.(told),
      (error: unknown) => process.send?.(String(error)),
    );
  });
  process.once('disconnect', () => process.exit());
  process.send?.('ready');
}
