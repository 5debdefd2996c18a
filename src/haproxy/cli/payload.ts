/**
 * Commands that carry a text of several lines, such as a certificate. `<<` at the end of a line opens the text, and an empty
 * line ends it; what follows is the next line of commands.
 */

/** Throws a TypeError where a line of the text would end it, or open another one. */
export function withPayload(command: string, payload: string): string {
  if (!isPayload(payload)) throw new TypeError(`the text for ${JSON.stringify(command)} cannot be a payload`);
  return `${command} <<\n${payload}`;
}

/** The command as people may see it. */
export function withoutPayload(command: string): string {
  return command.replace(/ <<\n.*$/s, ' <<');
}

/** Whether the command line can hold the text: whole lines, none of them empty. */
export function isPayload(text: string): boolean {
  return text.endsWith('\n') && !/^\s*$/m.test(text.slice(0, -1)) && !/[^\n\x20-\x7e]|<</.test(text);
}

/** What stands between a command and the next one. */
export function separatorAfter(command: string): string {
  return hasPayload(command) ? '\n' : ';';
}

/**
 * How many prompts answer a query: up to HAProxy 3.0 one a command, later one a line. A payload counts for nothing, and a `;`
 * after a backslash separates nothing.
 */
export function promptsAfter(query: string, isEachCommand: boolean): number {
  const lines = query.replace(/ <<\n.*?\n\n/gs, '\n').split('\n');
  if (!isEachCommand) return lines.length;
  return lines.reduce((sum, line) => sum + line.replace(/\\./gs, '').split(';').length, 0);
}

/** Up to HAProxy 3.0 each line of a payload is answered in interactive mode, in front of the reply. */
export function withoutPayloadPrompts(query: string, answer: string): string {
  return hasPayload(query) ? answer.replace(/^(?:\+ )+/gm, '') : answer;
}

function hasPayload(query: string): boolean {
  return query.includes(' <<\n');
}
