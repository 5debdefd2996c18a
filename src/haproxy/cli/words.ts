/** The words of HAProxy's command line. */

/** Whether the command line can hold the text: one line only, and `<<` opens a payload, even after an escaped blank. */
export function isCliWord(text: string): boolean {
  return text !== '' && !/[\x00-\x1f\x7f]|<</.test(text);
}

/** One word of the command line. It knows no quotes: a backslash keeps the next character from meaning anything. */
export function cliWord(text: string): string {
  if (!isCliWord(text)) throw new TypeError(`${JSON.stringify(text)} cannot be a word of a runtime command`);
  return text.replace(/[ ;\\]/g, '\\$&');
}
