/**
 * The numeric id of a server that is added at runtime, and of one in the file where a hash is dealt by ids. Without one,
 * older versions place an added server wrongly in a consistent hash and newer ones may give it the id of one that has just
 * left. It is made of the name: the same server gets the same place each time, on each machine. HAProxy itself numbers the
 * file's servers from 1, far below these.
 */

const lowest = 2 ** 30;
const count = 2 ** 30;

/** Two names with the same id in one backend are very unlikely; the later name then takes the next id. */
export function serverId(name: string, taken: ReadonlySet<number>): number {
  let id = hash(name) % count;
  while (taken.has(lowest + id)) id = (id + 1) % count;
  return lowest + id;
}

/** Judged by its size: no numbering from 1 gets this far. */
export function isGeneratedId(id: number): boolean {
  return id >= lowest;
}

/** FNV-1a with a final mix, so that names that end in another digit are far apart. */
function hash(text: string): number {
  let value = 0x81_1c_9d_c5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01_00_01_93);
  value = Math.imul(value ^ (value >>> 16), 0x85_eb_ca_6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2_b2_ae_35);
  return (value ^ (value >>> 16)) >>> 0;
}
