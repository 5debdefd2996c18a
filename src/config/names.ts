/** Names of proxies that are not free, besides those of services, and why. */
import { frontendName } from '../haproxy/text/names.ts';
import { linesOf, tokenise } from '../haproxy/text/text.ts';

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

export type NamedSection = { readonly keyword: string; readonly name: string };

/** The proxies of a hand-written section. */
export function proxiesIn(text: string): readonly NamedSection[] {
  return namedSectionsIn(text).filter(({ keyword }) => keyword !== 'defaults');
}

/** The sections, of hand-written text or of a template, whose names no proxy may have: from 3.3 on those of `defaults` too. */
export function namedSectionsIn(text: string): readonly NamedSection[] {
  return linesOf(text).flatMap((line) => {
    const [keyword = '', name = ''] = tokenise(line).words;
    return keywords.has(keyword) && /^[\w.:-]+$/.test(name) ? [{ keyword, name }] : [];
  });
}

const keywords: ReadonlySet<string> = new Set(['backend', 'defaults', 'frontend', 'listen']);
