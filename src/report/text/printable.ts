/**
 * Makes texts safe to be shown. Anyone who may register chooses names: their control characters must not reach a terminal, nor turn
 * the direction of what is read.
 */

/** Line breaks and tabs are among them. */
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Of one line. */
export function printable(text: string): string {
  return text.replace(unprintable, escaped);
}

/** Of several lines: their breaks and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(unprintable, (character) => ('\n\t'.includes(character) ? character : escaped(character)));
}

/** JSON of the same value, with all characters escaped that must not reach a terminal. */
export function printableJson(value: unknown, indent?: number): string {
  // The line breaks in it are those between its lines.
  return printableLines(JSON.stringify(value, null, indent));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
