/** Commands about servers as HAProxy's command line takes them, and what its replies mean. */
import { hostPort } from '../../../lib/net/address.ts';
import { maxWeight, type ServerCommand } from '../../../model.ts';
import { cliWord } from '../../cli/words.ts';
import type { Verdict } from '../resource.ts';

/** The server's name, unique within a process. */
export function identity({ backend, server }: Pick<ServerCommand, 'backend' | 'server'>): string {
  return `${backend}/${server}`;
}

/** The lines of one command, each to be judged by itself. */
export function say(command: ServerCommand): readonly string[] {
  const target = cliWord(`${command.backend}/${command.server}`);
  switch (command.action) {
    case 'add': {
      const { address, port, weight, options, checks, dynamicCookie, backend } = command;
      const place = cliWord(hostPort(address, portOf(port)));
      const words = ['add server', target, place, 'weight', weightOf(weight), ...options.map(cliWord)];
      return [
        words.join(' '),
        ...checks.flatMap((check) => enable(check, target)),
        // Before 3.0 a new server has no cookie (9a0e0d3a1); this computes all again, the old ones to the same.
        ...(dynamicCookie ? [`enable dynamic-cookie backend ${cliWord(backend)}`] : []),
      ];
    }
    case 're-address':
      // Here IPv6 stands without brackets.
      return [
        `set server ${target} addr ${cliWord(command.address)} port ${portOf(command.port)}`,
        ...(command.isChecked ? [`set server ${target} health up`] : []),
      ];
    case 'weight':
      return [
        ...(command.weight === 0 ? silenceAgent(command, target) : []),
        `set server ${target} weight ${weightOf(command.weight)}`,
      ];
    case 'maxconn':
      return [`set maxconn server ${target} ${maxconnText(command.maxconn)}`];
    case 'ready':
      return [`set server ${target} state ready`, ...(command.hasAgent ? [`enable agent ${target}`] : [])];
    case 'maint':
    case 'remove':
      return [...silenceAgent(command, target), `set server ${target} state maint`];
    case 'shutdown':
      return [`shutdown sessions server ${target}`];
    case 'delete':
      return [`del server ${target}`];
  }
}

/** `replies` are the answers to its lines, without blanks around them. */
export function classify(command: ServerCommand, replies: readonly string[]): Verdict {
  for (const [at] of say(command).entries()) {
    const verdict = classifyLine(command, at, replies[at]);
    if (verdict.kind !== 'done') return verdict;
  }
  return { kind: 'done' };
}

/**
 * A server of the file is up until its agent calls it down. An added server begins as called down, and most agents only
 * ever report a weight.
 */
function enable(check: 'health' | 'agent', target: string): readonly string[] {
  return [`enable ${check} ${target}`, ...(check === 'agent' ? [`set server ${target} agent up`] : [])];
}

function silenceAgent({ hasAgent }: { readonly hasAgent?: true }, target: string): readonly string[] {
  return hasAgent ? [`disable agent ${target}`] : [];
}

const done: Verdict = { kind: 'done' };

function classifyLine(command: ServerCommand, line: number, reply: string | undefined): Verdict {
  if (reply === undefined) return { kind: 'unexpected', command, reply: '' };
  const unexpected: Verdict = { kind: 'unexpected', command, reply };
  switch (command.action) {
    case 'add':
      // Warnings may stand before it.
      if (line === 0) return /(^|\n)New server registered\.$/.test(reply) ? done : unexpected;
      return reply === '' ? done : unexpected;
    case 're-address':
      return (line === 0 ? reAddressed.test(reply) : reply === '') ? done : unexpected;
    case 'maxconn':
    case 'weight':
    case 'ready':
    case 'maint':
      return reply === '' ? done : unexpected;
    case 'remove':
    case 'shutdown':
      return reply === '' || reply === 'No such server.' ? done : unexpected;
    case 'delete':
      if (reply === 'Server deleted.' || reply === 'No such server.') return done;
      if (/^Server still has connections attached to it, cannot remove it\.$/.test(reply)) return { kind: 'busy' };
      return pinned.has(reply) ? { kind: 'pinned' } : unexpected;
  }
}

/** 2.2 and 2.6 name both parts, 3.0 and later only what changed. "Nothing changed" is a success too. */
const reAddressed =
  /^(nothing changed|((IP changed from '[^']*' to '[^']*'|no need to change the addr)(, )?)?((port changed from '\d+' to '\d+'|no need to change the port))? by 'stats socket command')$/;

const pinned: ReadonlySet<string> = new Set([
  'This server cannot be removed at runtime due to other configuration elements pointing to it.',
  'Only servers added at runtime via <add server> CLI cmd can be deleted.',
]);

/** HAProxy takes port 70000 for 4464, and 0 for none. */
function portOf(port: number): string {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new TypeError(`${port} is not a port`);
  return `${port}`;
}

function weightOf(weight: number): string {
  if (!Number.isInteger(weight) || weight < 0 || weight > maxWeight) throw new TypeError(`${weight} is not a weight`);
  return `${weight}`;
}

/**
 * Sent instead of "no limit": with 0, requests already queued wait until `timeout queue`, whatever ends meanwhile (seen
 * on 2.6 and 3.4). A hundred times as much is a number to HAProxy too, as `slowstart` needs it.
 */
export const noMaxconn = 10_000_000;

function maxconnText(maxconn: number): string {
  if (!Number.isSafeInteger(maxconn) || maxconn < 0) throw new TypeError(`${maxconn} is no number of connections`);
  return `${maxconn === 0 ? noMaxconn : maxconn}`;
}
