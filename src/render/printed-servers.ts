/** Finds templates that are cut off or empty. They may be valid, and HAProxy accepts a backend without servers. */
import type { Service } from '../config/schema.ts';
import { AppError } from '../errors.ts';
import type { Section } from '../model.ts';
import type { RenderResult } from './render.ts';

const lines = { server: /^\s*server(?:-template)?\s/m, bind: /^\s*bind\s/m } as const;

type Listening = Pick<Service, 'bind'>;

/**
 * Throws an AppError where new templates print no server although there are some, or no `bind` although services
 * listen, and the old templates printed them.
 */
export function assertPrintsServers(
  before: readonly Section[],
  { sections, problems }: RenderResult,
  services: readonly Listening[],
): void {
  // A service whose template fails is quarantined, and keeps its last good section.
  if (problems.length > 0) return;
  const isLost = (line: RegExp): boolean => prints(before, line) && !prints(sections, line);
  if (isLost(lines.server)) throw lost('the templates no longer print a server of any service', restart);
  if (services.some(listens) && isLost(lines.bind))
    throw lost('the templates no longer print a bind of any service', restart);
}

const restart = '; if that is intended, restart Myelin';

/**
 * Throws an AppError where the templates print no server at all, or no `bind` although services listen. Returns a
 * warning for each service without a printed server. Each of `services` has an endpoint.
 */
export function checkPrinted(
  sections: readonly Section[],
  services: ReadonlyMap<string, Listening>,
): readonly string[] {
  if (services.size > 0 && !prints(sections, lines.server)) throw lost('the templates print no server of any service');
  if ([...services.values()].some(listens) && !prints(sections, lines.bind))
    throw lost('the templates print no bind of any service');
  return [...services].flatMap(([name, service]) => {
    const its = sections.filter((section) => section.service === name);
    return [
      ...(prints(its, lines.server)
        ? []
        : [`service ${name}: the templates print no server line; HAProxy will answer 503`]),
      ...(!listens(service) || prints(its, lines.bind)
        ? []
        : [`service ${name}: the templates print no bind line; nothing will listen at its \`bind\``]),
    ];
  });
}

function listens({ bind = [] }: Listening): boolean {
  return bind.length > 0;
}

function prints(sections: readonly Section[], line: RegExp): boolean {
  return sections.some(({ service, text }) => service !== null && line.test(text));
}

function lost(message: string, otherwise = ''): AppError {
  return new AppError('MYELIN_TEMPLATE_INVALID', message, {
    remedy: `see that none of the files in \`templates\` is cut off or empty${otherwise}`,
  });
}
