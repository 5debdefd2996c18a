/**
 * Tells a new HAProxy which servers are down: it would otherwise treat all as healthy and send them requests until
 * its own checks fail. The rows are written here, never copied: a raw dump of HAProxy's overrides ports, brings back
 * weights and maintenance, and leaves a server without checks down for good.
 */

import type { ServerStateRow, ServersState } from '../../haproxy/cli/info.ts';
import { defaultsOf } from '../../haproxy/text/layout/inheritance.ts';
import { linesOf, tokenise } from '../../haproxy/text/text.ts';
import { parseAddress } from '../../lib/net/address.ts';
import type { Section } from '../../model.ts';

/** Format 1, understood by every version. */
const fields =
  'be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight ' +
  'srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state ' +
  'bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr ' +
  'srv_agent_addr srv_agent_port';

/** Says nothing about any server, and leaves HAProxy nothing to warn about. */
export const noServerDown = `1\n# ${fields}\n`;

/**
 * Rows only for servers that are down by their checks, and that the next config has unchanged and checked; and for
 * servers of hand-written sections that somebody has taken out, or given another weight, over the runtime API: only the
 * process knows that. `running` is what the queried process runs; empty where that is not known.
 */
export function downServers(
  { rows }: ServersState,
  wanted: readonly Section[],
  running: readonly Section[] = [],
): string {
  const listed = rows.filter((row) => isDown(row) || isSetByHand(row));
  if (listed.length === 0) return noServerDown;
  const backends = new Set(listed.map((row) => row.be_name ?? ''));
  const [servers, before] = [serversIn(wanted, backends), serversIn(running, backends)];
  const lines = listed.flatMap((row) => {
    const server = servers.get(keyOf(row));
    if (server === undefined || !isSamePlace(server.place, row, before.get(keyOf(row))?.place)) return [];
    const isDownStill = isDown(row) && server.isChecked;
    const isSet = !server.isOurs && isSetByHand(row);
    if (!isDownStill && !isSet) return [];
    const state = {
      ...row,
      srv_op_state: isDownStill ? '0' : '2',
      srv_admin_state: `${isSet ? Number(row.srv_admin_state) & takenOut : 0}`,
      srv_uweight: (isSet ? row.srv_uweight : row.srv_iweight) ?? '1',
    };
    return [
      `${fields
        .split(' ')
        .map((field) => value(state, field))
        .join(' ')}\n`,
    ];
  });
  return noServerDown + lines.join('');
}

function keyOf(row: ServerStateRow): string {
  return `${row.be_name}/${row.srv_name}`;
}

function isDown(row: ServerStateRow): boolean {
  return row.srv_op_state === '0' && isByChecks(row.srv_admin_state ?? '');
}

/**
 * Maintenance, by an operator or by the config, is not health. The other bits say that it drains, or that the process was
 * started with `disabled` in its line, which says nothing any more once it has been made ready.
 */
function isByChecks(adminState: string): boolean {
  return (Number(adminState) & (0x01 | 0x02 | 0x20)) === 0;
}

/** `state maint` and `state drain`. */
const takenOut = 0x01 | 0x08;

function isSetByHand({ srv_admin_state, srv_uweight, srv_iweight }: ServerStateRow): boolean {
  return (Number(srv_admin_state) & takenOut) !== 0 || srv_uweight !== srv_iweight;
}

/** Any other field gets the value of a field never set: HAProxy then takes the field from the config. */
function value(row: Readonly<Record<string, string>>, field: string): string {
  switch (field) {
    case 'srv_check_port':
    case 'srv_agent_port':
    case 'srv_agent_state':
      return '0';
    case 'srv_fqdn':
    case 'srvrecord':
    case 'srv_check_addr':
    case 'srv_agent_addr':
      return '-';
    default:
      return row[field] ?? '0';
  }
}

type KnownServer = {
  /** The address, name or path as written, with a port where there is one. */
  readonly place: string;
  /** A server without checks could never come up again. */
  readonly isChecked: boolean;
  /** Whether the server is of a service: its source and Myelin's own orders then decide its state. */
  readonly isOurs: boolean;
};

/** By `backend/server`, of the named backends. */
function serversIn(sections: readonly Section[], backends: ReadonlySet<string>): ReadonlyMap<string, KnownServer> {
  const servers = new Map<string, KnownServer>();
  const defaults: Section[] = [];
  for (const section of sections) {
    if (section.kind === 'defaults') defaults.push(section);
    if ((section.kind !== 'backend' && section.kind !== 'listen') || !backends.has(section.name)) continue;
    const inherited = defaultsOf(section, defaults).flatMap((each) => linesOf(each.text));
    let options: readonly string[] = [];
    for (const line of [...inherited, ...linesOf(section.text)]) {
      const { words } = tokenise(line);
      if (words[0] === 'default-server') options = [...options, ...words.slice(1)];
      for (const { name, place, own } of serversOf(words)) {
        const isOurs = section.service !== null;
        servers.set(`${section.name}/${name}`, { place, isChecked: isChecked([...options, ...own]), isOurs });
      }
    }
  }
  return servers;
}

type WrittenServer = { readonly name: string; readonly place: string; readonly own: readonly string[] };

/** One server for a `server` line, or all servers that a `server-template` makes. */
function serversOf([keyword, name = '', ...words]: readonly string[]): readonly WrittenServer[] {
  if (keyword === 'server') return [{ name, place: words[0] ?? '', own: words.slice(1) }];
  if (keyword !== 'server-template') return [];
  const [, first = '', last] = /^(\d+)(?:-(\d+))?$/.exec(words[0] ?? '') ?? [];
  const [from, to] = last === undefined ? [1, Number(first)] : [Number(first), Number(last)];
  const count = Math.min(Math.max(0, to - from + 1), mostServers);
  const [place = '', own] = [words[1], words.slice(2)];
  return Array.from({ length: count }, (_, at) => ({ name: `${name}${from + at}`, place, own }));
}

/** HAProxy takes no more of one template than it has ports. */
const mostServers = 65_535;

/** Whether a server has the same address as before. `before`: the old address as written, where known. */
function isSamePlace(place: string, row: ServerStateRow, before: string | undefined): boolean {
  const [, host = '', port = '0'] = /^(?:(?:ipv4|ipv6|tcp4|tcp6)@)?(.*?)(?::([+-]?\d+))?$/.exec(place) ?? [];
  const address = parseAddress(host.replace(/^\[(.*)\]$/, '$1'));
  const isSamePort = Number(port) === Number(row.srv_port);
  if (address !== null) return isSamePort && parseAddress(row.srv_addr ?? '')?.text === address.text;
  if (row.srv_fqdn !== undefined && row.srv_fqdn !== '-')
    return isSamePort && row.srv_fqdn.toLowerCase() === host.toLowerCase();
  // HAProxy shows no path of a unix socket: where the old path is not known, the server's name must do.
  return row.srv_addr === '-' && (before === undefined ? isSamePort : before === place);
}

function isChecked(words: readonly string[]): boolean {
  return words.lastIndexOf('check') > words.lastIndexOf('no-check');
}
