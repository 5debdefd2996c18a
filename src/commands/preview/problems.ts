/** What is wrong with a rendered config, for people. */
import { listNames } from '../../lib/list-names.ts';
import type { Problem } from '../../model.ts';

/** A fault of a template is one, whatever the number of the services that it concerns. */
export function toldOnce(problems: readonly Problem[]): string {
  const plain = problems.map(({ message, service }) => {
    const prefix = `service ${service}: `;
    return { service, message: message.startsWith(prefix) ? message.slice(prefix.length) : message };
  });
  const lines = [...Map.groupBy(plain, ({ message }) => message)].map(([message, of]) => {
    const services = of.flatMap(({ service }) => service ?? []);
    if (services.length === 0) return message;
    return `${services.length === 1 ? 'service' : 'services'} ${listNames(services)}: ${message}`;
  });
  return lines.join('\n');
}
