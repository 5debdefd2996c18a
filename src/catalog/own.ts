/** What leads back to Myelin and the HAProxy that it keeps: to send traffic there is a loop, or gives away the admin API. */
import { type Address, contains, parseAddress, range, reachedIPv4 } from '../lib/net/address.ts';

/** Where this config listens; `host` null: on every address of this machine. */
type OwnListener = { readonly host: string | null; readonly port: number; readonly text: string };

export type Own = {
  /** Of this machine's network interfaces, and what else is translated to them; loopback need not be named. */
  readonly addresses: readonly string[];
  readonly listeners: readonly OwnListener[];
};

export const nothingOwn: Own = { addresses: [], listeners: [] };

/** The listener that a connection to this address and port would end at; null: none of ours. */
export type OwnGuard = (address: Address, port: number) => OwnListener | null;

export function createOwnGuard({ addresses, listeners }: Own): OwnGuard {
  const own = new Set(addresses.map((one) => parseAddress(one)?.text ?? one));
  const byPort = Map.groupBy(listeners, ({ port }) => port);
  const isHere = (address: Address): boolean =>
    own.has(address.text) || loopback.some((one) => contains(one, address)) || unspecified.includes(address.text);
  const isAt = (address: Address, host: string | null): boolean => {
    if (host === null || unspecified.includes(address.text)) return isHere(address);
    const listening = parseAddress(host);
    // A name stands for some address of this machine: it could not be bound otherwise.
    return listening === null ? isHere(address) : listening.text === address.text;
  };
  return (address, port) => {
    const at = byPort.get(port);
    if (at === undefined) return null;
    const all = [address, ...reachedIPv4(address)];
    return at.find(({ host }) => all.some((one) => isAt(one, host))) ?? null;
  };
}

/** Ports at which another listener is there than before: what was said of them counts no more. */
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
/** Whoever connects there comes to this machine. */
const unspecified = ['0.0.0.0', '::'];
