/** Commands about certificates and lists of them as HAProxy's command line takes them, and what its replies mean. */
import type { CertificateCommand, CrtListCommand } from '../../../model.ts';
import { withPayload } from '../../cli/payload.ts';
import { cliWord, isCliWord } from '../../cli/words.ts';
import type { Verdict } from '../resource.ts';

/** Whether the command line, and a line of a list, can hold the path. */
export function canBeNamed(path: string): boolean {
  return isCliWord(path) && !/[\s[\]#:]/.test(path);
}

export function sayCertificate(command: CertificateCommand): readonly string[] {
  const file = cliWord(command.certificate);
  switch (command.action) {
    case 'add':
      return [`new ssl cert ${file}`, withPayload(`set ssl cert ${file}`, command.pem), `commit ssl cert ${file}`];
    case 'set':
      return [withPayload(`set ssl cert ${file}`, command.pem), `commit ssl cert ${file}`];
    case 'delete':
      return [`del ssl cert ${file}`];
  }
}

export function sayCrtList(command: CrtListCommand): readonly string[] {
  const [list, certificate] = [cliWord(command.list), cliWord(command.certificate)];
  switch (command.action) {
    case 'add':
      return [`add ssl crt-list ${list} ${certificate}`];
    case 'delete':
      return [`del ssl crt-list ${list} ${certificate}${command.line === undefined ? '' : `:${command.line}`}`];
  }
}

const done: Verdict = { kind: 'done' };

export function classifyCertificate(command: CertificateCommand, replies: readonly string[]): Verdict {
  for (const [at, line] of sayCertificate(command).entries()) {
    const reply = replies[at] ?? '';
    // Another list, or a line of the config, names the certificate: the next reload drops it.
    if (command.action === 'delete' && /' in use, can't be deleted!$/.test(reply)) return { kind: 'pinned' };
    if (!isDone(line, reply)) return { kind: 'unexpected', command, reply };
  }
  return done;
}

/** Dots count the places in which HAProxy replaces the certificate. Warnings may stand before the end of a reply. */
function isDone(line: string, reply: string): boolean {
  switch (line.slice(0, line.indexOf(' '))) {
    case 'new':
      return /^New empty certificate store '.*'!$|^Certificate '.*' already exists!$/.test(reply);
    case 'set':
      return /^Transaction (?:created|updated) for certificate .*!$/m.test(reply);
    case 'commit':
      return /^Committing .*\n(?:.*\n)*Success!$/.test(reply);
    default:
      return /^Certificate '.*' deleted!$|^Can't remove the certificate: certificate '.*' doesn't exist!$/.test(reply);
  }
}

export function classifyCrtList(command: CrtListCommand, replies: readonly string[]): Verdict {
  const reply = replies[0] ?? '';
  const isIt = command.action === 'add' ? isListed : isUnlisted;
  return isIt.test(reply) ? done : { kind: 'unexpected', command, reply };
}

const isListed = /^Inserting certificate '.*' in crt-list '.*'\.+\n(?:.*\n)*Success!$/;
const isUnlisted =
  /^Entry '.*' deleted in crtlist '.*'!$|^Can't delete the entry: certificate '.*' (?:can't be found in crt-list '.*'|does not exist)!$/;
