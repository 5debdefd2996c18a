/** Names of proxies that are not free, besides those of services, and why. */
import { frontendName } from '../haproxy/text/names.ts';

/** The names of Myelin's own proxies begin like this. */
const ownPrefix = 'myelin_';

/** Returns why a name is not free where these services are served; null: it is free. */
export function reservedBy(services: Iterable<string>): (name: string) => string | null {
  const frontends = new Map([...services].map((name) => [frontendName(name), name]));
  return (name) => {
    if (name.startsWith(ownPrefix)) return "names that begin with myelin_ are Myelin's own";
    const service = frontends.get(name);
    return service === undefined ? null : `the frontend of the service ${service} has that name`;
  };
}

/** The proxies of a hand-written section. */
export function proxiesIn(text: string): { readonly keyword: string; readonly name: string }[] {
  return [...text.matchAll(/^[ \t]*(frontend|backend|listen)[ \t]+([^\s#]+)/gm)].map(([, keyword = '', name = '']) => ({
    keyword,
    name,
  }));
}
