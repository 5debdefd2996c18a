/** Addresses of Myelin and its HAProxy: an endpoint there makes a loop, or exposes the admin API. */
import { type Address, contains, parseAddress, range, reachedIPv4 } from '../lib/net/address.ts';

/** A listener of this config; `host` null: on every address of this machine. */
type OwnListener = { readonly host: string | null; readonly port: number; readonly text: string };

export type Own = {
  /** Of the network interfaces of this machine, and those that are translated to them; without loopback. */
  readonly addresses: readonly string[];
  readonly listeners: readonly OwnListener[];
};

export const nothingOwn: Own = { addresses: [], listeners: [] };

/** The listener of this config that accepts connections to this address and port; null: none. */
export type OwnGuard = (address: Address, port: number) => OwnListener | null;

export function createOwnGuard({ addresses, listeners }: Own): OwnGuard {
  const own = new Set(addresses.map((one) => parseAddress(one)?.text ?? one));
  const byPort = Map.groupBy(listeners, ({ port }) => port);
  const isHere = (address: Address): boolean =>
    own.has(address.text) || loopback.some((one) => contains(one, address)) || unspecified.includes(address.text);
  const isAt = (address: Address, host: string | null): boolean => {
    if (host === null || unspecified.includes(address.text)) return isHere(address);
    const listening = parseAddress(host);
    // A host name that can be bound stands for some address of this machine.
    return listening === null ? isHere(address) : listening.text === address.text;
  };
  return (address, port) => {
    const at = byPort.get(port);
    if (at === undefined) return null;
    const all = [address, ...reachedIPv4(address)];
    return at.find(({ host }) => all.some((one) => isAt(one, host))) ?? null;
  };
}

/** Ports whose listener has changed: endpoints there must be judged again. */
export function changedPorts(before: Own, after: Own): ReadonlySet<number> {
  if (before === after) return new Set();
  const isSameMachine =
    before.addresses.length === after.addresses.length &&
    before.addresses.every((one, index) => one === after.addresses[index]);
  const names = (own: Own): Set<string> => new Set(own.listeners.map(({ host, port }) => `${port} ${host ?? '*'}`));
  const [old, young] = [names(before), names(after)];
  const isChanged = ({ host, port }: OwnListener): boolean => {
    const name = `${port} ${host ?? '*'}`;
    return !isSameMachine || old.has(name) !== young.has(name);
  };
  return new Set([...before.listeners, ...after.listeners].filter(isChanged).map(({ port }) => port));
}

const loopback = ['127.0.0.0/8', '::1'].map(range);
/** A connection to one of these goes to this machine. */
const unspecified = ['0.0.0.0', '::'];
