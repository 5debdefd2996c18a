/** A terminal for what shows itself differently there. */

/** What runs `command` on a terminal of its own: a program, and its arguments. */
export function onTerminal(command: readonly string[]): readonly [program: string, args: readonly string[]] {
  return ['script', ['--quiet', '--return', '--command', command.join(' '), '/dev/null']];
}
