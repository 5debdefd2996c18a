/** Reads a route as people write it: a text such as `shop.example.com/api strip`, or its parts by name. */
import { type Read, readHost, show } from './host.ts';
import { readPath } from './path.ts';
import type { WrittenRoute } from './route.ts';

/** Longer texts are refused. */
const longestText = 2048;

const routeText =
  'HOST, HOST/PATH, /PATH or :PORT, then perhaps strip, to=/PATH and frontend=NAME, such as "shop.example.com/api strip"';

/** The parts before they are read: in any case, and with any path. `strip`: an empty `to`. */
export type RouteParts = Omit<WrittenRoute, 'label'> & { readonly strip?: boolean | undefined };

const wrong = (reason: string): Read<never> => ({ kind: 'wrong', reason });

/** The text form; blanks separate its words. */
export function readRoute(text: string): Read<WrittenRoute> {
  if (text.length > longestText) return wrong(`a route is ${longestText} characters long at most`);
  if (/[\x00-\x1f\x7f]/.test(text)) return wrong(`${show(text)} holds a line break or another control character`);
  const [first, ...words] = text.split(' ').filter((word) => word !== '');
  if (first === undefined) return wrong(`is empty; expected ${routeText}`);
  const place = readPlace(first);
  if (place.kind === 'wrong') return place;
  const options: { strip?: boolean; to?: string; frontend?: string } = {};
  for (const word of words) {
    const [, key, value] = /^(to|frontend)=(.*)$/.exec(word) ?? [];
    if (word === 'strip') options.strip = true;
    else if (key === 'to' || key === 'frontend') {
      if (options[key] !== undefined) return wrong(`${key} is written twice in ${show(text)}`);
      options[key] = value ?? '';
    } else return wrong(`${show(word)} is no option of a route; allowed: strip, to=/PATH, frontend=NAME`);
  }
  return readParts({ ...place.value, ...options }, text.trim());
}

function readPlace(word: string): Read<RouteParts> {
  if (word.startsWith(':')) {
    const port = /^:(\d{1,5})$/.exec(word)?.[1];
    return port === undefined
      ? wrong(`${show(word)} is no port; expected one such as :10005`)
      : read({ port: Number(port) });
  }
  if (/^[a-z]+:\/\//i.test(word)) return wrong(`${show(word)} is a URL: write the host and the path of it alone`);
  const slash = word.indexOf('/');
  if (slash === 0) return read({ path: word });
  return slash === -1 ? read({ host: word }) : read({ host: word.slice(0, slash), path: word.slice(slash) });
}

/** Reads a route from its parts by name. */
export function readParts(parts: RouteParts, label = labelOf(parts)): Read<WrittenRoute> {
  const { frontend, port, strip = false } = parts;
  if ([parts.sni, port, parts.host ?? parts.path].filter((part) => part !== undefined).length !== 1)
    return wrong('a route has a host, a path or both, or else an sni, or else a port');
  if (frontend === '') return wrong('frontend= names no frontend');
  if (strip && parts.to !== undefined)
    return wrong('strip takes the path away and to puts another in its place: write one of them');
  const isRewritten = strip || parts.to !== undefined;
  if (isRewritten && parts.host === undefined && parts.path === undefined)
    return wrong('strip and to are about the path of an HTTP request: this route has none');
  if (strip && (parts.path ?? '/') === '/')
    return wrong('strip takes the path of the route away, and this route has none');
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > 65_535))
    return wrong(`${port} is no port: 1 to 65535 are`);
  const host = optional(parts.host, readHost);
  const sni = optional(parts.sni, readHost);
  const path = optional(parts.path, readPath);
  const to = strip ? read('') : optional(parts.to, readPath);
  for (const part of [host, sni, path, to]) if (part.kind === 'wrong') return part;
  return read({ label, frontend, port, host: known(host), sni: known(sni), path: known(path), to: known(to) });
}

/** The text form of these parts. */
function labelOf({ frontend, host = '', path = '', sni, port, strip, to }: RouteParts): string {
  const place = port !== undefined ? `:${port}` : (sni ?? `${host}${path}`);
  const words = [
    strip ? 'strip' : '',
    to === undefined ? '' : `to=${to}`,
    frontend === undefined ? '' : `frontend=${frontend}`,
  ];
  return [place, ...words].filter((word) => word !== '').join(' ');
}

function read<T>(value: T): Read<T> {
  return { kind: 'read', value };
}

function optional<T>(text: string | undefined, reader: (text: string) => Read<T>): Read<T | undefined> {
  return text === undefined ? read(undefined) : reader(text);
}

function known<T>(part: Read<T | undefined>): T | undefined {
  return part.kind === 'read' ? part.value : undefined;
}
