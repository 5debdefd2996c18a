/** Commands about CA certificates as HAProxy's command line takes them, and what its replies mean. */
import type { CaFileCommand } from '../../../model.ts';
import { withPayload } from '../../cli/payload.ts';
import { cliWord } from '../../cli/words.ts';
import type { Verdict } from '../resource.ts';

export function say({ caFile, pem }: CaFileCommand): readonly string[] {
  const file = cliWord(caFile);
  return [withPayload(`set ssl ca-file ${file}`, pem), `commit ssl ca-file ${file}`];
}

export function classify(command: CaFileCommand, [set = '', commit = '']: readonly string[]): Verdict {
  // The process has no line that names it: it has nothing to replace.
  if (/^Can't replace a CA file which is not referenced by the configuration!$/m.test(set)) return { kind: 'done' };
  if (!/^transaction (?:created|updated) for CA .*!$/m.test(set)) return { kind: 'unexpected', command, reply: set };
  // Dots count the places in which HAProxy replaces it.
  return /^Committing .*\n(?:.*\n)*Success!$/.test(commit)
    ? { kind: 'done' }
    : { kind: 'unexpected', command, reply: commit };
}
