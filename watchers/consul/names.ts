/** Names of services at Consul, and the keys that discovered ones have here. Pure. */

/** Names of services and nodes as they are compared: Consul ignores their case. */
export function folded(name: string): string {
  return name.toLowerCase();
}

/** No service's name begins so. */
const mark = '*';

export function keyOfDiscovered(service: string): string {
  return `${mark}${folded(service)}`;
}

/** The name that a key stands for; Consul takes it in any case. */
export function nameOfKey(key: string): string {
  return key.startsWith(mark) ? key.slice(mark.length) : key;
}
