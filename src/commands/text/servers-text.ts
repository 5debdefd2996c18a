/** Servers for people, a line each. */
import { styleText } from 'node:util';
import type { Timestamp } from '../../model.ts';
import type { ServerStatus } from '../../report/servers.ts';
import { age } from '../../report/text/format.ts';
import { printable } from '../../report/text/printable.ts';

const heads = ['server', 'address', 'source says', 'HAProxy says', 'weight', 'sessions', 'since', ''] as const;

export function formatServers(servers: readonly ServerStatus[], now: Timestamp): string {
  if (servers.length === 0) return 'no servers\n';
  const rows = servers.map((server) => cellsOf(server, now).map(printable));
  const widths = heads.map((head, at) =>
    rows.reduce((most, cells) => Math.max(most, cells[at]?.length ?? 0), head.length),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  const lines = rows.map((cells, at) =>
    servers[at]?.health?.condition === 'down' ? styleText('red', line(cells), { stream: process.stdout }) : line(cells),
  );
  return `${[line(heads), ...lines].join('\n')}\n`;
}

function cellsOf({ backend, server, address, source, order, health }: ServerStatus, now: Timestamp): readonly string[] {
  const said = [`${backend}/${server}`, address, source ?? 'nothing'];
  const ordered = order === null ? [] : [`an operator set it to ${order}`];
  if (health === null) return [...said, 'nothing', '', '', '', ordered.join('')];
  const { status, weight, sessions, since, check, queued, errors } = health;
  const notes = [
    ...ordered,
    ...(check === null ? [] : [`${check.code}, ${check.words}`]),
    ...(queued === 0 ? [] : [`${queued} waiting`]),
    ...(errors === 0 ? [] : [`${errors} errors`]),
  ];
  return [...said, status, `${weight}`, `${sessions}`, age(since, now), notes.join('; ')];
}
