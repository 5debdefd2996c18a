/** Small words that all parts use. */

const whole = new Intl.NumberFormat('en');

/** `2,000` */
export function number(value: number): string {
  return whole.format(value);
}

/** `1 server`, `2 servers` */
export function count(value: number, what: string, many = `${what}s`): string {
  return `${number(value)} ${value === 1 ? what : many}`;
}

/** `a, b and c`, and of a long list the beginning. */
export function listed(names: readonly string[], most = 3): string {
  const shown = names.length > most ? [...names.slice(0, most - 1), `${names.length - most + 1} more`] : names;
  const last = shown.at(-1) ?? '';
  return shown.length < 2 ? last : `${shown.slice(0, -1).join(', ')} and ${last}`;
}

/** good: as it should be; note: worth knowing; warn: traffic flows, something is wrong; bad: traffic is lost. */
export type Tone = 'good' | 'note' | 'warn' | 'bad';
