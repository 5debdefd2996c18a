/** Services whose servers commands cannot change as needed: reported before the first change shows it. Pure. */
import type { Message } from '../messages.ts';

/** By service, what prevents runtime commands. */
export function reloadOnlyNews(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): readonly Message[] {
  return [...now]
    .filter(([service, because]) => before.get(service) !== because)
    .map(([service, because]): Message => ({ kind: 'reload_only', service, because }));
}
