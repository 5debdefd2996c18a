/** Discovered services that are newly left out, and those that no longer are. Pure. */
import type { Rejected } from '../../config/discover/discovered.ts';
import { few } from '../facts.ts';
import type { Message } from '../messages.ts';

export function discoveryNews(before: readonly Rejected[], now: readonly Rejected[]): readonly Message[] {
  if (now === before) return [];
  const gone = new Map(before.map((one) => [keyOf(one), one]));
  const fresh = now.filter((one) => gone.get(keyOf(one))?.reason !== one.reason);
  for (const one of now) gone.delete(keyOf(one));
  // One wrong limit may leave out all services; the status lists them.
  const { list, more } = few(fresh);
  return [
    ...list.map((one): Message => ({ kind: 'left_out', ...one })),
    ...(more > 0 ? [{ kind: 'left_out_others', count: more } as const] : []),
    ...few([...gone.values()]).list.map(
      ({ watcher, service }): Message => ({ kind: 'left_out_no_more', watcher, service }),
    ),
  ];
}

function keyOf({ watcher, service }: Rejected): string {
  return `${watcher} ${service}`;
}
