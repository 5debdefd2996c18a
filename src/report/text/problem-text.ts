/** What is wrong with a rendered config, for people: place, cause, and each fault once. */
import { listNames } from '../../lib/list-names.ts';
import type { Problem } from '../../model.ts';

/** One line a fault, whatever the number of the services that it concerns. */
export function problemLines(problems: readonly Problem[]): readonly string[] {
  return [...Map.groupBy(problems, whatOf)].map(([what, its]) => {
    // The key of the config says whose it is.
    const services =
      its[0]?.origin === undefined ? new Set(its.flatMap(({ service }) => service ?? [])) : new Set<string>();
    if (services.size === 0) return what;
    return `${services.size === 1 ? 'service' : 'services'} ${listNames([...services])}: ${what}`;
  });
}

export function problemText(problems: readonly Problem[]): string {
  return problemLines(problems).join('; ');
}

/** For where it is said already which service they are of. */
export function ofNobody(problems: readonly Problem[]): readonly Problem[] {
  return problems.map((problem) => ({ ...problem, service: null }));
}

/** Without the number of the line: it counts in a file that is kept for a while at most. */
function whatOf({ message, text, origin }: Problem): string {
  if (text === undefined) return message;
  const line = `\`${text}\``;
  return origin === undefined
    ? `${message} (line of a template: ${line})`
    : `${origin.place}: ${origin.path}: ${line}: ${message}`;
}
