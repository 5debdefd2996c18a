/** TCP sessions that send one message after the other and expect each back, and that only they themselves should end. */
import { connect } from 'node:net';
import type { Ms } from '../../src/model.ts';

type SessionOptions = {
  readonly port: number;
  /** Asked after each echo: whether the session ends with it. */
  readonly isOver: () => boolean;
  /** Settles when the next message may be sent. */
  readonly turn: () => Promise<void>;
  readonly onEcho: (latencyMs: Ms) => void;
  /** Its last end, whatever `isOver` and `turn` say. */
  readonly withinMs?: Ms;
};

const longestEchoMs: Ms = 10_000;

/** Settles with what went wrong, or with null where it ended as it should. Rejects with what `turn` rejects with. */
export function echoSession(options: SessionOptions): Promise<string | null> {
  const { port, isOver, turn, onEcho, withinMs = 300_000 } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('utf8');
    let echoes = 0;
    let sentAt = 0;
    let received = '';
    let trouble = 'closed by the other side';
    let hasEnded = false;
    const message = (): string => `message ${echoes}\n`;
    const send = (): void => {
      if (socket.destroyed) return;
      sentAt = performance.now();
      received = '';
      socket.setTimeout(longestEchoMs);
      socket.write(message());
    };
    const end = (why: string): void => {
      trouble = why;
      socket.destroy();
    };
    const timer = setTimeout(() => end(`not over within ${withinMs} ms: the session on port ${port}`), withinMs);
    socket.once('connect', send);
    socket.on('error', (error) => {
      trouble = error.message;
    });
    socket.on('timeout', () => end(`no echo within ${longestEchoMs} ms`));
    socket.on('data', (chunk: string) => {
      received += chunk;
      if (received.length < message().length) return;
      if (received !== message()) return end(`${JSON.stringify(received)} came back of ${JSON.stringify(message())}`);
      echoes += 1;
      // Between two messages it may be idle for as long as it likes.
      socket.setTimeout(0);
      onEcho(performance.now() - sentAt);
      hasEnded = isOver();
      if (hasEnded) socket.destroy();
      else
        turn().then(send, (error: unknown) => {
          reject(error);
          socket.destroy();
        });
    });
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(hasEnded ? null : `${trouble} after ${echoes} echoes`);
    });
  });
}
