/**
 * Finds where HAProxy's servers differ from the desired ones. The findings are expressed in words of
 * the file: the sections as they really run, from which a plan leads back to what is desired like any other.
 */

import { hostPort, parseAddress } from '../../../lib/net/address.ts';
import type { LeavingServer, Rendered, Section, ServerDrift, ServerOverride } from '../../../model.ts';
import type { ServerStateRow } from '../../cli/info.ts';
import { readFile } from '../../text/inherited-config.ts';
import { editServers } from '../../text/servers/amend.ts';
import { withOthers } from '../parts.ts';
import type { Circumstances, Finding, Findings, Owner, Seen } from '../resource.ts';
import { identity } from './commands.ts';
import { partsOf } from './parts.ts';
import type { Server } from './plan/backend.ts';
import { parseOptions, wordsOf } from './plan/options.ts';
import { backendIn } from './plan/section.ts';
import type { SeenServers } from './read-back.ts';

/** Leaves out backends with constructs that are not modelled. */
export function findDrift(
  running: Rendered,
  seen: ReadonlyMap<Owner, SeenServers>,
  circumstances: Circumstances,
): Findings {
  const findings: Finding[] = [];
  const leaving = new Map<Owner, readonly LeavingServer[]>();
  const file = readFile(running.sections);
  const others = new Map<Section, Section>();
  for (const [owner, section] of partsOf(running, seen.keys())) {
    const its = seen.get(owner);
    const backend = its === undefined ? null : backendIn(file, section);
    if (its === undefined || backend === null || backend.notPlain !== null) continue;
    const compared = compareServers(section, backend.servers, its, circumstances);
    for (const drift of compared.drift)
      findings.push({ owner, identity: identity(drift), what: `${drift.kind} of ${drift.server}`, drift });
    if (compared.leaving.length > 0) leaving.set(owner, compared.leaving);
    if (compared.section !== section) others.set(section, compared.section);
  }
  return { findings, running: withOthers(running, others), leaving };
}

type Compared = {
  readonly section: Section;
  readonly drift: readonly ServerDrift[];
  readonly leaving: readonly LeavingServer[];
};

function compareServers(
  section: Section,
  servers: ReadonlyMap<string, Server>,
  { rows, maxconns }: SeenServers,
  { leaving: known, unsettled }: Circumstances,
): Compared {
  const backend = section.name;
  const drift: ServerDrift[] = [];
  const leaving: LeavingServer[] = [];
  const corrections = new Map<string, Correction>();
  const added: string[] = [];
  const note = (server: string, kind: ServerDrift['kind'], detail: string): void => {
    drift.push({ backend, server, kind, detail });
  };
  const found = new Map(rows.map((row) => [row.srv_name ?? '', row]));
  for (const [name, server] of servers) {
    const row = found.get(name);
    if (row === undefined) {
      note(name, 'missing', '');
      corrections.set(name, 'drop');
      continue;
    }
    const key = identity({ backend, server: name });
    const correction = {
      ...(unsettled.has(key) ? {} : wrongPlace(server, row)),
      ...wrongWeight(server, row),
      ...wrongMaxconn(server, maxconns.get(name)),
      ...wrongState(server, row),
    };
    if (correction.place !== undefined) note(name, 'address', correction.place);
    if (correction.weight !== undefined) note(name, 'weight', `${correction.weight}`);
    if (correction.maxconn !== undefined) note(name, 'maxconn', `${correction.maxconn}`);
    if (correction.isDisabled !== undefined) note(name, 'state', stateOf(row));
    if (Object.keys(correction).length > 0) corrections.set(name, correction);
  }
  for (const [name, row] of found) {
    if (servers.has(name)) continue;
    if (stateOf(row) !== 'maint') {
      note(name, 'extra', '');
      added.push(`    server ${name} ${placeOf(row)} weight ${row.srv_uweight ?? 1}\n`);
    } else if (!known.some((left) => left.kind === 'server' && left.backend === backend && left.server === name))
      leaving.push({ kind: 'server', backend, server: name, options: unknownOptions });
  }
  return { section: correct(section, corrections, added), drift, leaving };
}

/** Equal to no server's: one that comes back under its name counts as a new one. */
const unknownOptions = ['?'];

/** Bits of `srv_admin_state`: forced by an order, or by `disabled` in the file; what a tracked server says is not drift. */
const forcedMaint = 0x01;
const forcedDrain = 0x08;

function stateOf(row: ServerStateRow): 'ready' | 'maint' | 'drain' {
  const bits = Number(row.srv_admin_state);
  if ((bits & forcedMaint) !== 0) return 'maint';
  return (bits & forcedDrain) !== 0 ? 'drain' : 'ready';
}

/** Whether a server that an operator took out is out of service; a missing server counts as out. */
export function isOutOfService(seen: Seen | undefined, server: string, override: ServerOverride): boolean {
  const rows = seen === undefined ? [] : (seen as SeenServers).rows;
  const row = rows.find(({ srv_name }) => srv_name === server);
  if (row === undefined) return true;
  return override === 'maint' ? stateOf(row) === 'maint' : row.srv_uweight === '0';
}

type Correction =
  | 'drop'
  | {
      readonly place?: string;
      readonly weight?: number;
      readonly maxconn?: number;
      readonly isDisabled?: boolean;
    };

function wrongPlace({ address, port }: Server, row: ServerStateRow): { readonly place?: string } {
  const desired = parseAddress(address);
  // A name or a path, which HAProxy resolves by itself.
  if (desired === null || port === null || row.srv_fqdn !== '-') return {};
  const isSame = parseAddress(row.srv_addr ?? '')?.text === desired.text && Number(row.srv_port) === port;
  return isSame ? {} : { place: placeOf(row) };
}

function wrongWeight(server: Server, row: ServerStateRow): { readonly weight?: number } {
  const weight = Number(row.srv_uweight);
  // While it drains, its agent is not asked.
  return weight === server.weight || (server.weight > 0 && hasAgent(server)) ? {} : { weight };
}

function wrongMaxconn({ maxconn: desired }: Server, maxconn: number | undefined): { readonly maxconn?: number } {
  return desired === null || maxconn === undefined || maxconn === desired ? {} : { maxconn };
}

/** A draining server is wrong in any case: no line of the file can express `drain`. */
function wrongState(server: Server, row: ServerStateRow): { readonly isDisabled?: boolean } {
  const isRight = stateOf(row) === (server.isDisabled ? 'maint' : 'ready');
  // An agent does not count against an order that takes its server out.
  return isRight || (!server.isDisabled && hasAgent(server)) ? {} : { isDisabled: !server.isDisabled };
}

/** An agent on the server may set its weight, and whether it gets traffic. */
function hasAgent({ options }: Server): boolean {
  return options.some(({ keyword }) => keyword === 'agent-check');
}

function placeOf({ srv_addr: address = '', srv_port: port = '' }: ServerStateRow): string {
  return hostPort(address, port);
}

function correct(section: Section, corrections: ReadonlyMap<string, Correction>, added: readonly string[]): Section {
  if (corrections.size + added.length === 0) return section;
  const corrected = editServers(section.text, ({ name, words }, line) => {
    const correction = corrections.get(name);
    if (correction === undefined) return line;
    return correction === 'drop' ? null : `    ${correctedWords(words, correction).map(quote).join(' ')}`;
  });
  return { ...section, text: corrected + added.join('') };
}

/** `words` are those of a whole `server` line. */
function correctedWords(
  words: readonly string[],
  { place, weight, maxconn, isDisabled }: Exclude<Correction, 'drop'>,
): readonly string[] {
  const [keyword = '', name = '', oldPlace = '', ...own] = words;
  const head = [keyword, name, place ?? oldPlace];
  const presence = isDisabled === undefined ? [] : [isDisabled ? 'disabled' : 'enabled'];
  // The last one counts.
  if (maxconn !== undefined) presence.unshift('maxconn', `${maxconn}`);
  if (weight === undefined) return [...head, ...own, ...presence];
  const { options, unknown } = parseOptions(own);
  // Unknown words keep their place; the reading of the line ends there in any case.
  const others = unknown === null ? wordsOf(options.filter(({ keyword }) => keyword !== 'weight')) : own;
  return [...head, 'weight', `${weight}`, ...others, ...presence];
}

/** The word as the file has it: anything but a plain word stands in single quotes, which have no special characters. */
function quote(word: string): string {
  return /^[\w.:/@+=,~^!*?%()[\]{}|<>;&-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
