/**
 * Loaded into a Myelin (`--import`): lets the commands of one service through to HAProxy until a number of them has been answered,
 * then ends Myelin, or HAProxy, at once (SIGKILL). `KILL_AT`: `{ name, after, whom }`.
 */
import { Socket } from 'node:net';

const { name, after, whom } = JSON.parse(process.env.KILL_AT ?? '{}');
const change = new RegExp(`^(?:add|del|set|enable|publish|unpublish) .*\\b${name}\\b`);
const mark = 'show cli level';
const { write } = Socket.prototype;
let left = after;
let isOver = name === undefined;

/** @this {Socket} */
function writeUntilThen(data, ...rest) {
  const parts = isOver ? [] : String(data).trimEnd().split(';');
  const changes = parts.flatMap((part, at) => (change.test(part) ? [at] : []));
  if (changes.length === 0 || changes.length < left) {
    left -= changes.length;
    return write.call(this, data, ...rest);
  }
  isOver = true;
  // Up to the last command that is to be sent, and a mark whose answer says that it was executed.
  const sent = [...parts.slice(0, left === 0 ? changes[0] : changes[left - 1] + 1), mark];
  let answer = '';
  this.on('data', (chunk) => {
    answer += chunk;
    const levels = answer.match(/^(?:> )?(?:admin|operator|user)$/gm) ?? [];
    if (levels.length < sent.filter((part) => part === mark).length) return;
    const pid = whom === 'haproxy' ? Number(/^Pid: (\d+)$/m.exec(answer)?.[1]) : process.pid;
    process.kill(pid, 'SIGKILL');
  });
  return write.call(this, `${sent.join(';')}\n`, ...rest);
}

Socket.prototype.write = writeUntilThen;
