/** Whether a HAProxy elsewhere shares this machine's network, as far as the system shows. */
import { readIfThere } from '../../lib/files/files.ts';

/**
 * The kernel lists the unix sockets of our own network namespace only, of every owner. HAProxy binds its sockets
 * under a temporary name, which the list keeps.
 */
export async function sharesNetwork(socket: string): Promise<boolean> {
  const list = (await readIfThere('/proc/net/unix'))?.toString('utf8') ?? '';
  return list.split('\n').some((line) => {
    const path = line.trim().split(/\s+/).slice(7).join(' ');
    return path === socket || (path.startsWith(`${socket}.`) && /^\.\d+\.tmp$/.test(path.slice(socket.length)));
  });
}
