/** Connections that last: a TCP session and a WebSocket to a server that sends back what it gets. */
import { once } from 'node:events';
import { connect } from 'node:net';

export type Session = AsyncDisposable & {
  /** What comes back of a message. */
  echo(message: string): Promise<string>;
  readonly closed: Promise<void>;
};

export async function openTcp(port: number): Promise<Session> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8');
  // It says so by closing as well.
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await once(socket, 'connect');
  const session: Session = {
    async echo(message) {
      socket.write(message);
      const [answer] = (await once(socket, 'data')) as [string];
      return answer;
    },
    closed,
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await closed;
    },
  };
  // Through HAProxy to the server and back: now it belongs to the process that serves.
  await session.echo('hello');
  return session;
}

export async function openWebSocket(port: number): Promise<Session> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  const closed = new Promise<void>((resolve) => socket.addEventListener('close', () => resolve(), { once: true }));
  await once(socket, 'open');
  return {
    async echo(message) {
      socket.send(message);
      const [answer] = (await once(socket, 'message')) as [MessageEvent];
      return String(answer.data);
    },
    closed,
    async [Symbol.asyncDispose]() {
      socket.close();
      await closed;
    },
  };
}
