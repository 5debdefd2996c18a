/**
 * A client in a process of its own, for the benchmarks: asks one host over and over on a connection that is kept, and
 * tells its parent when the awaited body came. `startAsking` starts one.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Ms } from '../src/model.ts';
import { now } from './clock.ts';
import { messageOf } from './process.ts';

type Task = { readonly port: number; readonly host: string; readonly body: string };

export type Asking = AsyncDisposable & {
  /** Asks from now on; settles with the moment of the first answer with this body. */
  until(task: Task): Promise<Ms>;
};

export async function startAsking(): Promise<Asking> {
  const child = fork(fileURLToPath(import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  await messageOf(child);
  return {
    async until(task) {
      child.send(task);
      const told = (await messageOf(child)) as Ms | string;
      if (typeof told === 'string') throw new Error(told);
      return told;
    },
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await exited;
    },
  };
}

const giveUpMs: Ms = 60_000;
/** From one answer to the next request: how exactly the moment is known. */
const pauseMs: Ms = 0.05;

/** The body of the answer; null where the connection was closed, as by a HAProxy that leaves. */
async function ask(socket: Socket, host: string): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  let answer = '';
  const hear = (chunk: string): void => {
    answer += chunk;
    const [head = '', body] = answer.split('\r\n\r\n');
    const length = /^content-length: (\d+)\r?$/im.exec(head)?.[1];
    if (body !== undefined && length !== undefined && body.length >= Number(length)) resolve(body);
  };
  const end = (): void => resolve(null);
  socket.on('data', hear).once('close', end);
  if (socket.destroyed) end();
  else socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const body = await promise;
  socket.off('data', hear).off('close', end);
  return body;
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('utf8');
  socket.setTimeout(5000, () => socket.destroy());
  // What breaks is closed as well.
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function perform({ port, host, body }: Task): Promise<Ms | string> {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  const deadline = performance.now() + giveUpMs;
  let socket = await open(port);
  try {
    while (performance.now() < deadline) {
      const answer = await ask(socket, host);
      // Servers pad their answers, so that all are of one length.
      if (answer?.trimEnd() === body) return now();
      if (answer === null) {
        socket.destroy();
        socket = await open(port);
      }
      // Timers of the event loop have no parts of a millisecond.
      Atomics.wait(clock, 0, 0, pauseMs);
    }
    return `${body} did not answer`;
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
