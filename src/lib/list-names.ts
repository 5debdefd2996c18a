/** Lists in the details of reasons, which people read in a log line. */

/** Names at most; the rest is counted. */
const namesShown = 5;

export function listNames(list: readonly string[]): string {
  const rest = list.length - namesShown;
  return rest > 0 ? `${list.slice(0, namesShown).join(', ')} and ${rest} more` : list.join(', ');
}
