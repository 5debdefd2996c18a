/** What the lists of a whole datacenter say, reduced to what tells that a service changed. Pure. */
import { AppError } from '../../src/errors.ts';
import type { Changed } from './rota.ts';

/** A check, or an instance; `service` is '' for a check of a node. Two that look alike say the same. */
type Row = { readonly node: string; readonly service: string; readonly look: string; readonly index: number };
export type Rows = ReadonlyMap<string, Row>;

/** Of GET /v1/health/state/any. Not by a schema: there are tens of thousands of them, at each change of one. */
export function readChecks(body: unknown): Rows {
  const rows = new Map<string, Row>();
  for (const check of listOf(body)) {
    const { Node: node, CheckID: id, Status: status, ServiceName: service = '', ModifyIndex: index } = check;
    if (!isText(node) || !isText(id) || !isText(status) || !isText(service) || !isIndex(index)) throw notThat();
    rows.set(`${node}\n${id}`, { node, service, look: `${status} ${service}`, index });
  }
  return rows;
}

/** Of GET /v1/catalog/nodes. */
export function readNodes(body: unknown): readonly string[] {
  return listOf(body).map(({ Node: node }) => {
    if (!isText(node)) throw notThat();
    return node;
  });
}

/** Of GET /v1/catalog/node/:node, which is null where there is no such node any more. */
export function readNode(node: string, body: unknown): Rows {
  const rows = new Map<string, Row>();
  const services = isRecord(body) ? (body.Services ?? {}) : {};
  if ((body !== null && !isRecord(body)) || !isRecord(services)) throw notThat();
  for (const [id, instance] of Object.entries(services)) {
    if (!isRecord(instance)) throw notThat();
    const { Service: service, ModifyIndex: index } = instance;
    if (!isText(service) || !isIndex(index)) throw notThat();
    rows.set(`${node}\n${id}`, { node, service, look: `${index} ${service}`, index });
  }
  return rows;
}

/**
 * The services whose rows came, went or look otherwise. A check of a node is about all services that are there by the rows
 * of before or by `instances`; null: those are not known.
 */
export function changesOf(before: Rows, after: Rows, instances: Rows | null): Changed {
  const changed = new Map<string, bigint | null>();
  const nodesChanged = new Set<string>();
  const note = ({ node: where, service, index }: Row, isThere: boolean): void => {
    const known = changed.get(service);
    if (service === '') nodesChanged.add(where);
    // Of one that went it is not known at which index.
    else if (!isThere || known === null) changed.set(service, null);
    else if (known === undefined || known < index) changed.set(service, BigInt(index));
  };
  for (const [id, row] of after) if (before.get(id)?.look !== row.look) note(row, true);
  for (const [id, row] of before) if (!after.has(id)) note(row, false);
  if (nodesChanged.size === 0) return changed;
  const there = [...before.values()].filter((row) => nodesChanged.has(row.node));
  // A node that nothing was known of has come with its services, which have rows of their own.
  if (there.length === 0) return changed;
  if (instances === null) return 'all';
  for (const row of [...there, ...instances.values()])
    if (row.service !== '' && nodesChanged.has(row.node)) changed.set(row.service, null);
  return changed;
}

function listOf(body: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (!Array.isArray(body) || !body.every(isRecord)) throw notThat();
  return body;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function notThat(): AppError {
  return new AppError('MYELIN_SOURCE_FAILED', 'the answer is not a list of the catalog');
}
