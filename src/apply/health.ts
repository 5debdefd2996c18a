/**
 * Lets a new HAProxy know which servers are down: it would take all of them for healthy and send them requests until
 * its own checks fail. The rows are written here, never copied: a raw dump of HAProxy's overrides ports, brings back
 * weights and maintenance, and leaves a server without checks down for good.
 */
import type { ServerStateRow, ServersState } from '../haproxy/info.ts';
import { serverLines } from '../haproxy/text.ts';
import type { Section, ServerOrder } from '../model.ts';

/** Format 1, understood by every version. */
const fields =
  'be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight ' +
  'srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state ' +
  'bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr ' +
  'srv_agent_addr srv_agent_port';

/** Says nothing about any server, and leaves HAProxy nothing to warn about. */
export const noServerDown = `1\n# ${fields}\n`;

/**
 * Rows of those servers alone that are down by their checks, and are the same and checked in what comes next; and of
 * those that an operator has taken out (`orders`, by `backend/server`).
 */
export function downServers(
  { rows }: ServersState,
  wanted: readonly Section[],
  orders: ReadonlyMap<string, ServerOrder> = new Map(),
): string {
  const told = rows.filter((row) => isDown(row) || orders.has(keyOf(row)));
  if (told.length === 0) return noServerDown;
  const servers = serversIn(wanted, new Set(told.map((row) => row.be_name ?? '')));
  const lines = told.flatMap((row) => {
    const server = servers.get(keyOf(row));
    if (server === undefined || server.place !== `${row.srv_addr} ${row.srv_port}`) return [];
    const order = orders.get(keyOf(row));
    const down = isDown(row) && server.isChecked;
    if (order === undefined && !down) return [];
    // Once it may serve again, a server that nobody found down does so at once.
    const state = { ...row, srv_op_state: down ? '0' : '2', srv_admin_state: adminState(order) };
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

/** Forced, as by an order on the command line. */
function adminState(order: ServerOrder | undefined): string {
  switch (order) {
    case 'maint':
      return '1';
    case 'drain':
      return '8';
    case undefined:
      return '0';
  }
}

function isDown(row: ServerStateRow): boolean {
  return row.srv_op_state === '0' && isByChecks(row.srv_admin_state ?? '');
}

/** Maintenance, by an operator or by the config, is not health. The other bits say that it drains. */
function isByChecks(adminState: string): boolean {
  return (Number(adminState) & (0x01 | 0x02 | 0x04 | 0x20)) === 0;
}

/** What is not health is given as it is when nothing was ever set: then HAProxy takes it from the config. */
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
    case 'srv_uweight':
      return row.srv_iweight ?? '1';
    default:
      return row[field] ?? '0';
  }
}

type WantedServer = {
  /** `address port` */
  readonly place: string;
  /** Without checks it could never come up again. */
  readonly isChecked: boolean;
};

/** By `backend/server`, of the named backends. */
function serversIn(wanted: readonly Section[], backends: ReadonlySet<string>): ReadonlyMap<string, WantedServer> {
  const servers = new Map<string, WantedServer>();
  let defaults: readonly string[] = [];
  for (const section of wanted) {
    if (section.kind === 'defaults') defaults = defaultServerWords(section);
    if ((section.kind !== 'backend' && section.kind !== 'listen') || !backends.has(section.name)) continue;
    const inherited = [...defaults, ...defaultServerWords(section)];
    for (const { name, address, port, words } of serverLines(section))
      servers.set(`${section.name}/${name}`, {
        place: `${address} ${port}`,
        isChecked: isChecked([...inherited, ...words]),
      });
  }
  return servers;
}

function defaultServerWords({ text }: Section): readonly string[] {
  return [...text.matchAll(/^\s*default-server\s+(.*)$/gm)].flatMap(([, words = '']) => words.trim().split(/\s+/));
}

function isChecked(words: readonly string[]): boolean {
  return words.lastIndexOf('check') > words.lastIndexOf('no-check');
}
