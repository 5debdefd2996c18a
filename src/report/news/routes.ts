/** Routes that are newly left out, because another service has what they claim, and those that no longer are. Pure. */
import type { RouteConflict } from '../../routes/holders.ts';
import { few } from '../facts.ts';
import type { Message } from '../messages.ts';

export function routesNews(before: readonly RouteConflict[], now: readonly RouteConflict[]): readonly Message[] {
  if (now === before) return [];
  const gone = new Map(before.map((one) => [keyOf(one), one]));
  const fresh = now.filter((one) => gone.get(keyOf(one))?.holder !== one.holder);
  for (const one of now) gone.delete(keyOf(one));
  const { list, more } = few(fresh);
  return [
    ...list.map((one): Message => ({ kind: 'route_left_out', ...one })),
    ...(more > 0 ? [{ kind: 'route_left_out_others', count: more } as const] : []),
    ...few([...gone.values()]).list.map(
      ({ service, frontend, route }): Message => ({ kind: 'route_left_out_no_more', service, frontend, route }),
    ),
  ];
}

function keyOf({ service, frontend, route }: RouteConflict): string {
  return `${frontend} ${service} ${route}`;
}
