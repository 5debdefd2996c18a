/**
 * A client in a process of its own, for the benchmarks: asks one host over and over on a connection that is kept, and
 * tells its parent when the awaited body came. `startAsking` starts one.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

/** What the client is to do until it is told otherwise. */
type Task = { readonly port: number; readonly host: string; readonly body: string; readonly pauseMs: number };

export type Asking = AsyncDisposable & {
  /** Asks from now on; settles with the moment (`process.hrtime.bigint()`) of the first answer with this body. */
  until(task: Task): Promise<bigint>;
};

export async function startAsking(): Promise<Asking> {
  const child = fork(fileURLToPath(import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  await once(child, 'message');
  return {
    async until(task) {
      child.send(task);
      const [told] = (await once(child, 'message')) as [string];
      if (!/^\d+$/.test(told)) throw new Error(told);
      return BigInt(told);
    },
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await exited;
    },
  };
}

const giveUpMs = 60_000;

async function ask(socket: Socket, host: string): Promise<string> {
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  let answer = '';
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [string];
    answer += chunk;
    const [head, body] = answer.split('\r\n\r\n');
    const length = /^content-length: (\d+)\r?$/im.exec(head ?? '')?.[1];
    if (body !== undefined && length !== undefined && body.length >= Number(length)) return body;
  }
}

async function perform({ port, host, body, pauseMs }: Task): Promise<string> {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  const deadline = performance.now() + giveUpMs;
  const open = async (): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('utf8');
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer within 5 s')));
    await once(socket, 'connect');
    return socket;
  };
  let socket = await open();
  try {
    while (performance.now() < deadline) {
      if ((await ask(socket, host)) === body) return `${process.hrtime.bigint()}`;
      // Timers of the event loop have no parts of a millisecond.
      if (pauseMs > 0) Atomics.wait(clock, 0, 0, pauseMs);
      if (socket.destroyed) socket = await open();
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
