/** Requests for many hosts over few connections, many at once on each, as fast as they are answered. */
import { once } from 'node:events';
import { connect } from 'node:net';

export type Asked = { readonly host: string; readonly path: string };

/** The names that HAProxy gives in `x-backend`, or the statuses of other answers, in the order of the requests. */
export async function askPipelined(port: number, requests: readonly Asked[], atOnce = 50): Promise<readonly string[]> {
  const socket = connect(port, '127.0.0.1').setNoDelay().setEncoding('latin1');
  const answers: string[] = [];
  let rest = '';
  socket.on('data', (chunk: string) => {
    const heads = `${rest}${chunk}`.split('\r\n\r\n');
    rest = heads.pop() ?? '';
    for (const head of heads) answers.push(/^x-backend: (\S+)/m.exec(head)?.[1] ?? (head.split(' ')[1] || head));
  });
  const closed = once(socket, 'close').then(() => {
    throw new Error(`the connection was closed after ${answers.length} answers`);
  });
  closed.catch(() => {});
  for (let at = 0; at < requests.length; at += atOnce) {
    const some = requests.slice(at, at + atOnce);
    socket.write(some.map(({ host, path }) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`).join(''));
    while (answers.length < at + some.length) await Promise.race([once(socket, 'data'), closed]);
  }
  socket.destroy();
  return answers;
}
