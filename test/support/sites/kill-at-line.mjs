/**
 * Loaded into a Myelin (`--import`): ends it at once (SIGKILL) when HAProxy has answered so many of the lines by which a version of a map
 * is filled and takes its place. `KILL_AT_LINE`: how many.
 */
import { Socket } from 'node:net';

const { write } = Socket.prototype;
let left = Number(process.env.KILL_AT_LINE);

/** @this {Socket} */
function writeUntilThen(data, ...rest) {
  if (/;(?:prepare|add|commit) map /.test(String(data)) && --left === 0)
    this.once('data', () => process.kill(process.pid, 'SIGKILL'));
  return write.call(this, data, ...rest);
}

Socket.prototype.write = writeUntilThen;
