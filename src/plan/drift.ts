/**
 * Where the servers that HAProxy says it has are not those that it should have. What is found is put into the words of
 * the file: the sections as they really run, from which a plan leads back to what is wanted like any other.
 */

import type { ServerStateRow } from '../haproxy/cli/info.ts';
import { editServers } from '../haproxy/text/amend.ts';
import { hostPort, parseAddress } from '../lib/address.ts';
import type { Drift, LeavingServer, Section } from '../model.ts';
import type { Server } from './backend.ts';
import { backendIn, isOurs } from './backends.ts';
import { parseOptions, wordsOf } from './options.ts';
import { readFile } from './surroundings.ts';

export type Observed = {
  /** By backend, those that were read back. */
  readonly servers: ReadonlyMap<string, readonly ServerStateRow[]>;
  readonly leaving: readonly LeavingServer[];
  /** `backend/server` of those whose new address may not have taken effect yet. */
  readonly unsettled: ReadonlySet<string>;
};

export type Finding = {
  readonly drift: readonly Drift[];
  /** What really runs; sections without drift keep their identity. */
  readonly sections: readonly Section[];
  /** Servers on their way out that nobody knew of. */
  readonly leaving: readonly LeavingServer[];
};

/** `running` is what is believed to run. A backend with constructs that are not modelled is left out of it. */
export function findDrift(running: readonly Section[], observed: Observed): Finding {
  const drift: Drift[] = [];
  const leaving: LeavingServer[] = [];
  const file = readFile(running);
  const sections = running.map((section) => {
    const rows = observed.servers.get(section.name);
    if (rows === undefined || !isOurs(section)) return section;
    const backend = backendIn(file, section);
    if (backend === null || backend.notPlain !== null) return section;
    const its = compareServers(section, backend.servers, rows, observed);
    for (const one of its.drift) drift.push(one);
    for (const one of its.leaving) leaving.push(one);
    return its.section;
  });
  return { drift, sections, leaving };
}

type Compared = Omit<Finding, 'sections'> & { readonly section: Section };

function compareServers(
  section: Section,
  servers: ReadonlyMap<string, Server>,
  rows: readonly ServerStateRow[],
  { leaving: known, unsettled }: Observed,
): Compared {
  const backend = section.name;
  const drift: Drift[] = [];
  const leaving: LeavingServer[] = [];
  const corrections = new Map<string, Correction>();
  const added: string[] = [];
  const note = (server: string, kind: Drift['kind'], detail: string): void => {
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
    const key = `${backend}/${name}`;
    const correction = {
      ...(unsettled.has(key) ? {} : wrongPlace(server, row)),
      ...wrongWeight(server, row),
      ...wrongState(server, row),
    };
    if (correction.place !== undefined) note(name, 'address', correction.place);
    if (correction.weight !== undefined) note(name, 'weight', `${correction.weight}`);
    if (correction.isDisabled !== undefined) note(name, 'state', stateOf(row));
    if (Object.keys(correction).length > 0) corrections.set(name, correction);
  }
  for (const [name, row] of found) {
    if (servers.has(name)) continue;
    if (stateOf(row) !== 'maint') {
      note(name, 'extra', '');
      added.push(`    server ${name} ${placeOf(row)} weight ${row.srv_uweight ?? 1}\n`);
    } else if (!known.some((left) => left.backend === backend && left.server === name))
      leaving.push({ backend, server: name, options: unknownOptions });
  }
  return { section: correct(section, corrections, added), drift, leaving };
}

/** Equal to no server's: one that comes back under its name is not taken for the same. */
const unknownOptions = ['?'];

/** Bits of `srv_admin_state`: forced by an order, or by `disabled` in the file; what a tracked server says is not drift. */
const forcedMaint = 0x01;
const forcedDrain = 0x08;

export function stateOf(row: ServerStateRow): 'ready' | 'maint' | 'drain' {
  const bits = Number(row.srv_admin_state);
  if ((bits & forcedMaint) !== 0) return 'maint';
  return (bits & forcedDrain) !== 0 ? 'drain' : 'ready';
}

type Correction = 'drop' | { readonly place?: string; readonly weight?: number; readonly isDisabled?: boolean };

function wrongPlace({ address, port }: Server, row: ServerStateRow): { readonly place?: string } {
  const wanted = parseAddress(address);
  // A name or a path, which HAProxy resolves by itself.
  if (wanted === null || port === null || row.srv_fqdn !== '-') return {};
  const isSame = parseAddress(row.srv_addr ?? '')?.text === wanted.text && Number(row.srv_port) === port;
  return isSame ? {} : { place: placeOf(row) };
}

function wrongWeight(server: Server, row: ServerStateRow): { readonly weight?: number } {
  const weight = Number(row.srv_uweight);
  // While it drains, its agent is not asked.
  return weight === server.weight || (server.weight > 0 && hasAgent(server)) ? {} : { weight };
}

/** Whatever else it is, it is not as it should be: no line has a word for `drain`. */
function wrongState(server: Server, row: ServerStateRow): { readonly isDisabled?: boolean } {
  const isRight = stateOf(row) === (server.isDisabled ? 'maint' : 'ready');
  // Against what takes it out, its agent does not count.
  return isRight || (!server.isDisabled && hasAgent(server)) ? {} : { isDisabled: !server.isDisabled };
}

/** An agent on the server may say how much it takes, and whether it takes anything. */
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
    return correction === 'drop' ? null : `    ${correctedWords(words, correction).map(spell).join(' ')}`;
  });
  return { ...section, text: corrected + added.join('') };
}

/** `words` are those of a whole `server` line. */
function correctedWords(
  words: readonly string[],
  { place, weight, isDisabled }: Exclude<Correction, 'drop'>,
): readonly string[] {
  const [keyword = '', name = '', oldPlace = '', ...own] = words;
  const head = [keyword, name, place ?? oldPlace];
  const presence = isDisabled === undefined ? [] : [isDisabled ? 'disabled' : 'enabled'];
  if (weight === undefined) return [...head, ...own, ...presence];
  const { options, unknown } = parseOptions(own);
  // What is not understood keeps its place; the reading of the line ends there in any case.
  const others = unknown === null ? wordsOf(options.filter(({ keyword }) => keyword !== 'weight')) : own;
  return [...head, 'weight', `${weight}`, ...others, ...presence];
}

/** As the file has it: what is not a plain word stands in quotes in which nothing means anything. */
function spell(word: string): string {
  return /^[\w.:/@+=,~^!*?%()[\]{}|<>;&-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
