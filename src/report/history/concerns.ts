/** Whether an event is about a service: names it where names stand, not somewhere in a sentence. Pure. */
import { frontendName } from '../../haproxy/text/names.ts';
import type { Event } from '../events.ts';

const naming = ['service', 'services', 'backend', 'backends', 'query', 'queries', 'section', 'holder'];

export function concerns(event: Event, service: string): boolean {
  const names = [service, frontendName(service)];
  // `backend web`, `frontend web:in`, `consul/web`
  const isNamed = (text: string): boolean =>
    names.includes(text) || text.split(/[ /]/).some((word) => names.includes(word));
  return isIn(event, false);

  function isIn(value: unknown, isName: boolean): boolean {
    if (typeof value === 'string') return isName && isNamed(value);
    if (Array.isArray(value)) return value.some((each) => isIn(each, isName));
    if (typeof value !== 'object' || value === null) return false;
    return Object.entries(value).some(([key, each]) => isIn(each, naming.includes(key)));
  }
}
