/** Tags by which services say their routes to fabio, `urlprefix-HOST/PATH OPTIONS`, as options of a service here. Pure. */
import type { Unreadable } from '../../../src/model.ts';

const prefix = 'urlprefix-';

export function isFabioTag(tag: string): boolean {
  return tag.startsWith(prefix);
}

type Said = {
  readonly option: 'routes' | 'mode' | 'proxy-protocol';
  readonly value: string;
};

type FabioTags = {
  readonly options: readonly Said[];
  /** What means nothing here. */
  readonly leftOut: readonly Unreadable[];
};

export function readFabioTags(tags: readonly string[]): FabioTags {
  const read = tags.filter(isFabioTag).map(readTag);
  return { options: read.flatMap(({ options }) => options), leftOut: read.flatMap(({ leftOut }) => leftOut) };
}

/** A route is served as it is meant or not at all: without what limits it, it would be open to more than it should be. */
function readTag(tag: string): FabioTags {
  const [place = '', ...words] = tag.slice(prefix.length).trim().split(/\s+/);
  const told = (reason: string): Unreadable => ({ id: tag, reason: `${JSON.stringify(tag)}: ${reason}` });
  const notAtAll = (reason: string): FabioTags => ({ options: [], leftOut: [told(`no route: ${reason}`)] });
  const options = new Map(words.map((word) => [word.split('=', 1)[0] ?? '', word.slice(word.indexOf('=') + 1)]));

  const unserved = [...options.keys()].find((key) => !known.includes(key));
  if (unserved !== undefined) return notAtAll(`${unserved} means nothing here`);
  const proto = options.get('proto') ?? 'http';
  if (!['http', 'tcp', 'tcp+sni'].includes(proto)) return notAtAll(`proto=${proto} is for \`discover\` to say`);
  const isTcp = proto !== 'http';
  if (place.includes(',')) return notAtAll('it has a comma');
  if (/^[^/]+:/.test(place)) return notAtAll('a host with a port is none of a route');
  if (!place.includes('/') && !place.startsWith(':')) return notAtAll('it has no /');
  if (place.startsWith(':') && !isTcp) return notAtAll('a port without proto=tcp');
  const route = isTcp ? tcpRoute(place) : httpRoute(place, options.get('strip'), options.get('prepend') ?? '');
  if (route === null) return notAtAll(isTcp ? 'a path without http' : 'it does not begin with what is stripped');
  return {
    options: [
      { option: 'routes', value: route },
      ...(isTcp ? [{ option: 'mode', value: 'tcp' } as const] : []),
      ...(options.get('pxyproto') === 'true' ? [{ option: 'proxy-protocol', value: 'v1' } as const] : []),
    ],
    leftOut: [...options.keys()].filter((key) => harmless.includes(key)).map((key) => told(`without ${key}`)),
  };
}

/** Without these the same requests reach the same service. */
const harmless = ['weight', 'register'];
const known = ['proto', 'strip', 'prepend', 'pxyproto', ...harmless];

/** A port, or a host: `HOST/`. */
function tcpRoute(place: string): string | null {
  const host = place.endsWith('/') ? place.slice(0, -1) : place;
  return host === '' || host.includes('/') ? null : host;
}

/** `strip` takes away a beginning of the path, and not the path of the route as a whole. */
function httpRoute(place: string, strip: string | undefined, prepend: string): string | null {
  const whole = place.slice(place.indexOf('/'));
  const path = whole.endsWith('/') ? whole.slice(0, -1) : whole;
  const stripped = strip?.endsWith('/') ? strip.slice(0, -1) : (strip ?? '');
  if (path !== stripped && !path.startsWith(`${stripped}/`) && stripped !== '') return null;
  const rest = `${prepend.endsWith('/') ? prepend.slice(0, -1) : prepend}${path.slice(stripped.length)}`;
  if (rest === path) return place;
  return `${place} ${rest === '' ? 'strip' : `to=${rest}`}`;
}
