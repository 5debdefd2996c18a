/**
 * Bounds the connections of a server without refusing any: a new one is always accepted, and where there are too many,
 * the client with most connections loses its oldest one. So nobody who holds connections can prevent responses to
 * Prometheus or to the kubelet, which opens a new connection for each probe.
 */
import type { Server, Socket } from 'node:net';
import { parseAddress } from '../lib/net/address.ts';

type Limits = { readonly total: number; readonly perAddress: number };

/** An IPv6 host can use any number of addresses that differ in the last 64 bits. */
const networkBytes = 8;

export function boundConnections(server: Server, { total, perAddress }: Limits): void {
  /** By client; the sockets in the order in which they came. */
  const held = new Map<string, Set<Socket>>();
  let count = 0;
  server.on('connection', (socket) => {
    const who = whose(socket.remoteAddress);
    const own = held.get(who) ?? new Set();
    held.set(who, own.add(socket));
    count += 1;
    socket.once('close', () => {
      if (own.delete(socket)) count -= 1;
      if (own.size === 0 && held.get(who) === own) held.delete(who);
    });
    const most = own.size > perAddress ? own : count > total ? largest(held) : null;
    const [oldest] = most ?? [];
    if (most === null || oldest === undefined) return;
    // The socket does not count any more, however long its end takes.
    most.delete(oldest);
    count -= 1;
    oldest.destroy();
  });
}

function largest(held: ReadonlyMap<string, Set<Socket>>): Set<Socket> | null {
  return [...held.values()].reduce<Set<Socket> | null>(
    (most, one) => (one.size > (most?.size ?? 0) ? one : most),
    null,
  );
}

/** Identifies the client. `address` is undefined over a unix socket. */
function whose(address: string | undefined): string {
  const parsed = parseAddress(address?.replace(/%.*$/, '') ?? '');
  if (parsed === null) return address ?? '';
  return parsed.family === 6 ? `6 ${parsed.bytes.slice(0, networkBytes).join('.')}` : parsed.text;
}
