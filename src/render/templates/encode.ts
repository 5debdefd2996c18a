/**
 * Puts a text into a place of `haproxy.cfg` so that HAProxy reads exactly that text and nothing more. Each place has
 * its own rules; an encoder refuses a text that its place cannot hold.
 */
import { hostPort, parseAddress } from '../../lib/net/address.ts';

/** One argument of a directive: unchanged where that is safe, else in weak quotes. */
export function word(text: string): string {
  return isBare(text) ? text : quote(text);
}

/** One argument, always in weak quotes. */
export function quote(text: string): string {
  refuseEmpty(text);
  return `"${text.replace(/[\\"$]/g, '\\$&').replace(/[\x00-\x1f\x7f]/g, hex)}"`;
}

/** One argument that HAProxy evaluates as a log format (`set-header`, `redirect`, `log-format` …), as plain text. */
export function logFormat(text: string): string {
  return word(text.replaceAll('%', '%%'));
}

/**
 * One argument by backslash escapes alone, for an unknown place: it reads the same bare and in weak quotes,
 * cannot leave strong quotes or a comment, and has no `%` that a log format would evaluate.
 */
export function anywhere(text: string): string {
  refuseEmpty(text);
  return text.replaceAll('%', '%%').replace(/[\x00-\x20"#$'\\\x7f]/g, hex);
}

/** The text in parentheses of a sample expression such as `str(…)`, whose quoting differs from version to version. */
export function sampleArgument(text: string): string {
  if (/^[A-Za-z0-9_.:/@+=~^!*?-]+$/.test(text)) return text;
  throw new Error(
    `${JSON.stringify(text)} cannot stand in parentheses: letters, digits and _ . : / @ + = ~ ^ ! * ? - can`,
  );
}

/** Text after a `#`. Control characters become blanks: only people read a comment. */
export function comment(text: string): string {
  return text.replace(/[\x00-\x1f\x7f]/g, ' ');
}

/** The key of a line in a map file; it ends at the first blank. */
export function mapKey(text: string): string {
  if (text !== '' && !text.startsWith('#') && !/[\x00-\x20\x7f]/.test(text)) return text;
  throw new Error(`${JSON.stringify(text)} cannot be the key of a map: it is empty, starts with # or holds a blank`);
}

/** The value of a line in a map file: the rest of the line. */
export function mapValue(text: string): string {
  if (text.trim() === text && text !== '' && !/[\x00-\x1f\x7f]/.test(text)) return text;
  throw new Error(
    `${JSON.stringify(text)} cannot be the value of a map: it is empty, starts or ends with a blank or holds a control character`,
  );
}

/** ADDRESS:PORT of a server. HAProxy takes other texts for addresses (`/etc/passwd`, `0177.0.0.1`): refused here. */
export function address(ip: string, port: number): string {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error(`${port} is not a port: 1-65535 is`);
  if (parseAddress(ip) === null) throw new Error(`${JSON.stringify(ip)} is not an IPv4 or IPv6 address`);
  return hostPort(ip, port);
}

function isBare(text: string): boolean {
  return /^[A-Za-z0-9_.:/@+=,~^!*?%-]+$/.test(text);
}

/** HAProxy takes an empty argument for the end of the line; NUL ends every text in HAProxy. */
function refuseEmpty(text: string): void {
  if (text === '') throw new Error('an empty text cannot be an argument: HAProxy ignores the rest of the line');
  if (text.includes('\0')) throw new Error(`${JSON.stringify(text)} holds NUL, which HAProxy cannot read`);
}

function hex(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
