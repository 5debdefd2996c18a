/** The command that acts, as it is pasted into a shell. */

/** Looked for by the command itself. */
const usualConfig = '/etc/myelin/myelin.yaml';

/** `config`: the file that this Myelin runs with. */
export function commandLine(config: string, ...words: readonly string[]): string {
  const which = config === usualConfig ? [] : ['-c', config];
  // A name that begins with a dash is no option.
  const dashes = words.slice(1).some((word) => word.startsWith('-')) ? ['--'] : [];
  const [command = '', ...rest] = words;
  return ['myelin', ...which, command, ...dashes, ...rest].map(quoted).join(' ');
}

/** Names come from anyone who may register: nothing in one may be a command of its own. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
