/** Reads the host of a route: a DNS name, or one with `*.` in place of its first label. */

const mostChars = 253;
const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

export type Read<T> =
  | { readonly kind: 'read'; readonly value: T }
  | { readonly kind: 'wrong'; readonly reason: string };

const wrong = (reason: string): Read<never> => ({ kind: 'wrong', reason });

export function readHost(text: string): Read<string> {
  const shown = show(text);
  if (text === '*' || text === '')
    return wrong('a route for any host names none: write the path alone, such as /health');
  if (/^[^:]*:\d*$/.test(text)) return wrong(`the host ${shown} has a port: write it without, it holds for every port`);
  if (text.endsWith('.')) return wrong(`the host ${shown} ends with a dot: write it without, both are the same`);
  const host = text.toLowerCase();
  const name = host.startsWith('*.') ? host.slice(2) : host;
  if (name.includes('*'))
    return wrong(`${shown} is no host: * may stand for its first label alone, as in *.example.com`);
  if (/[^\x00-\x7f]/.test(host))
    return wrong(`the host ${shown} has letters of other alphabets: write it as punycode (xn--…)`);
  if (host.length > mostChars) return wrong(`the host ${shown} is longer than ${mostChars} characters`);
  if (!name.split('.').every((each) => label.test(each)))
    return wrong(`${shown} is no host: expected a DNS name such as shop.example.com or *.example.com`);
  return { kind: 'read', value: host };
}

/** Whether `host`, which may begin with `*.`, is the name in `pattern`, or a name below its `*.`. */
export function isHostWithin(host: string, pattern: string): boolean {
  if (host === pattern) return true;
  return pattern.startsWith('*.') && host.slice(host.indexOf('.') + 1) === pattern.slice(2) && host.includes('.');
}

/** A text that somebody registered, made short and one line for a message. */
export function show(text: string): string {
  const quoted = JSON.stringify(text).replace(
    /[\x7f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return quoted.length > 80 ? `${quoted.slice(0, 77)}…"` : quoted;
}
