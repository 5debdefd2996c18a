/** Services whose servers commands cannot change as they should: told before the first change shows it. Pure. */
import type { Message } from '../messages.ts';

/** By service, what is in the way. */
export function reloadOnlyNews(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): readonly Message[] {
  return [...now]
    .filter(([service, because]) => before.get(service) !== because)
    .map(([service, because]): Message => ({ kind: 'reload_only', service, because }));
}
