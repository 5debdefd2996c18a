/** Reads the path of a route, which matches whole elements: `/api` matches `/api` and `/api/x`, never `/apix`. */
import { type Read, show } from './host.ts';

/** In bytes. */
const longest = 1024;

/** Characters that a URL path may have and that have no special meaning in map files and commands. */
const allowed = /^[A-Za-z0-9._~!$&()*+,=:@%/-]*$/;

/** The path without a slash at its end: '' matches every path. */
export function readPath(text: string): Read<string> {
  const wrong = (reason: string): Read<never> => ({ kind: 'wrong', reason: `the path ${show(text)} ${reason}` });
  if (!text.startsWith('/')) return wrong('does not start with /');
  if (text.length > longest) return wrong(`is longer than ${longest} bytes`);
  if (/[?#]/.test(text)) return wrong('holds ? or #: a route knows the path alone');
  if (!allowed.test(text))
    return wrong('holds what a path cannot hold here: letters, digits and - . _ ~ ! $ & ( ) * + , = : @ % can');
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return wrong('holds a % without two hexadecimal digits');
  const path = text.endsWith('/') ? text.slice(0, -1) : text;
  const elements = path.split('/').slice(1);
  if (elements.includes('')) return wrong('has an empty element (//)');
  if (elements.some((each) => /^(\.|%2e){1,2}$/i.test(each)))
    return wrong('has an element . or .., which no request keeps');
  return { kind: 'read', value: path };
}

export function elementsOf(path: string): number {
  return path.split('/').length - 1;
}
