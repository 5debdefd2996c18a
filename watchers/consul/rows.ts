/** What the lists of a whole datacenter say, reduced to what tells that a service changed. Pure. */
import { AppError } from '../../src/errors.ts';
import { type Changed, folded } from './rota.ts';

/** A check or an instance; `service` is '' for a check of a node. Two that look alike say the same. */
type Row = {
  readonly node: string;
  readonly service: string;
  /** The instance, as it is found among instances; '' for a check of a node. */
  readonly instance: string;
  readonly look: string;
  readonly index: number;
};
export type Rows = ReadonlyMap<string, Row>;

/** Of GET /v1/health/state/any. Not by a schema: there are tens of thousands of them, at each change of one. */
export function readChecks(body: unknown): Rows {
  const rows = new Map<string, Row>();
  for (const check of listOf(body)) {
    const { Node: node, CheckID: id, Status: status, ModifyIndex: index } = check;
    const { ServiceName: service = '', ServiceID: instance = '' } = check;
    if (!isText(node) || !isText(id) || !isText(status) || !isIndex(index)) throw notThat();
    if (!isText(service) || !isText(instance)) throw notThat();
    rows.set(keyOf(node, id), rowOf(node, service, instance, status, index));
  }
  return rows;
}

/** Of GET /v1/catalog/nodes: by their names, with the addresses of instances that have none of their own. */
export function readNodes(body: unknown): ReadonlyMap<string, string> {
  return new Map(
    listOf(body).map(({ Node: node, Address: address }) => {
      if (!isText(node) || !isText(address)) throw notThat();
      return [node, address];
    }),
  );
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
    rows.set(keyOf(node, id), rowOf(node, service, id, `${index}`, index));
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
  const add = (service: string, index: number, isThere: boolean): void => {
    const known = changed.get(service);
    // Of one that went it is not known at which index.
    if (!isThere || known === null) changed.set(service, null);
    else if (known === undefined || known < index) changed.set(service, BigInt(index));
  };
  const note = ({ node: where, service, instance, index }: Row, isThere: boolean): void => {
    if (service === '') nodesChanged.add(where);
    else add(service, index, isThere);
    // A check goes on under the name that its instance had when the check was registered.
    const now = instances?.get(instance)?.service ?? service;
    if (now !== service) add(now, index, isThere);
  };
  for (const [id, row] of after) {
    const old = before.get(id);
    if (old?.look === row.look && old.service === row.service) continue;
    note(row, true);
    // Registered again under the same id, it may be of another service now.
    if (old !== undefined && old.service !== row.service) note(old, false);
  }
  for (const [id, row] of before) if (!after.has(id)) note(row, false);
  if (nodesChanged.size === 0) return changed;
  const there = servicesOn(nodesChanged, [before], instances);
  if (there === null) return 'all';
  for (const service of there) changed.set(service, null);
  return changed;
}

/** The services of nodes that have another address than before. One that came or went has rows of its services. */
export function movedWith(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  checks: Rows,
  instances: Rows | null,
): Changed {
  const moved = [...after].filter(([node, address]) => (before.get(node) ?? address) !== address);
  if (moved.length === 0) return new Map();
  const there = servicesOn(new Set(moved.map(([node]) => folded(node))), [checks], instances);
  return there === null ? 'all' : new Map([...there].map((service) => [service, null]));
}

/** null: not all that are there are known. */
function servicesOn(nodes: ReadonlySet<string>, seen: readonly Rows[], instances: Rows | null): Set<string> | null {
  if (instances === null) return null;
  const rows = [...seen, instances].flatMap((all) => [...all.values()]);
  return new Set(rows.filter(({ node, service }) => service !== '' && nodes.has(node)).map(({ service }) => service));
}

/** Consul's names of nodes and services are the same in capitals, and those of its lists may be written in both. */
function rowOf(node: string, service: string, id: string, look: string, index: number): Row {
  const instance = id === '' ? '' : keyOf(node, id);
  return { node: folded(node), service: folded(service), instance, look, index };
}

function keyOf(node: string, id: string): string {
  return JSON.stringify([node, id]);
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
