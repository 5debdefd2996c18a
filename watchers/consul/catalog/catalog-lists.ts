/** The lists of a whole datacenter, reduced to what shows that a service changed. Pure. */
import { AppError } from '../../../src/errors.ts';
import { folded } from '../names.ts';
import type { Changed } from './schedule.ts';

/** A check or an instance; `service` is '' for a check of a node. */
type Row = {
  readonly node: string;
  readonly service: string;
  /** The key of the instance among instances; '' for a check of a node. */
  readonly instance: string;
  /** Changes when the check or instance does. */
  readonly state: string;
  readonly index: number;
};
export type Rows = ReadonlyMap<string, Row>;

/** Of GET /v1/health/state/any. Without a schema, for speed: each change of a check lists tens of thousands of them. */
export function readChecks(body: unknown): Rows {
  const rows = new Map<string, Row>();
  for (const check of listOf(body)) {
    const { Node: node, CheckID: id, Status: status, ModifyIndex: index } = check;
    const { ServiceName: service = '', ServiceID: instance = '' } = check;
    if (!isText(node) || !isText(id) || !isText(status) || !isIndex(index)) throw unexpected();
    if (!isText(service) || !isText(instance)) throw unexpected();
    rows.set(keyOf(node, id), rowOf(node, service, instance, status, index));
  }
  return rows;
}

/** All checks once some have turned: those that did not pass `before`, and those that do not now. */
export function withTurned(all: Rows, before: Rows, now: Rows): Rows {
  const well = [...before].filter(([id]) => !now.has(id) && all.has(id));
  if (well.length + now.size === 0) return all;
  return new Map([...all, ...well.map(([id, row]) => [id, { ...row, state: 'passing' }] as const), ...now]);
}

/** Of GET /v1/catalog/nodes: addresses by node. Instances without an address of their own have that of their node. */
export function readNodes(body: unknown): ReadonlyMap<string, string> {
  return new Map(
    listOf(body).map(({ Node: node, Address: address }) => {
      if (!isText(node) || !isText(address)) throw unexpected();
      return [node, address];
    }),
  );
}

/** Of GET /v1/catalog/node/:node, whose body is null where the node does not exist any more. */
export function readNode(node: string, body: unknown): Rows {
  const rows = new Map<string, Row>();
  const services = isRecord(body) ? (body.Services ?? {}) : {};
  if ((body !== null && !isRecord(body)) || !isRecord(services)) throw unexpected();
  for (const [id, instance] of Object.entries(services)) {
    if (!isRecord(instance)) throw unexpected();
    const { Service: service, ModifyIndex: index } = instance;
    if (!isText(service) || !isIndex(index)) throw unexpected();
    rows.set(keyOf(node, id), rowOf(node, service, id, `${index}`, index));
  }
  return rows;
}

/**
 * The services whose rows came, went or changed. A check of a node concerns all services on it, by the rows of before or by
 * `instances`; null: those are not known.
 */
export function changesOf(before: Rows, after: Rows, instances: Rows | null): Changed {
  const changed = new Map<string, bigint | null>();
  const nodesChanged = new Set<string>();
  const add = (service: string, index: number, isThere: boolean): void => {
    const known = changed.get(service);
    // A row that went does not show the index at which it did.
    if (!isThere || known === null) changed.set(service, null);
    else if (known === undefined || known < index) changed.set(service, BigInt(index));
  };
  const note = ({ node: where, service, instance, index }: Row, isThere: boolean): void => {
    if (service === '') nodesChanged.add(where);
    else add(service, index, isThere);
    // A check keeps the service name that its instance had when the check was registered.
    const now = instances?.get(instance)?.service ?? service;
    if (now !== service) add(now, index, isThere);
  };
  for (const [id, row] of after) {
    const old = before.get(id);
    if (old?.state === row.state && old.service === row.service) continue;
    note(row, true);
    // An instance that was registered again with the same id may belong to another service now.
    if (old !== undefined && old.service !== row.service) note(old, false);
  }
  for (const [id, row] of before) if (!after.has(id)) note(row, false);
  if (nodesChanged.size === 0) return changed;
  const there = servicesOn(nodesChanged, [before], instances);
  if (there === null) return 'all';
  for (const service of there) changed.set(service, null);
  return changed;
}

/** The services of nodes whose address changed. A node that came or went has rows of its services. */
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

/** null: not all services are known. */
function servicesOn(nodes: ReadonlySet<string>, seen: readonly Rows[], instances: Rows | null): Set<string> | null {
  if (instances === null) return null;
  const rows = [...seen, instances].flatMap((all) => [...all.values()]);
  return new Set(rows.filter(({ node, service }) => service !== '' && nodes.has(node)).map(({ service }) => service));
}

/** Consul ignores the case of names, which may differ from list to list. */
function rowOf(node: string, service: string, id: string, state: string, index: number): Row {
  const instance = id === '' ? '' : keyOf(node, id);
  return { node: folded(node), service: folded(service), instance, state, index };
}

function keyOf(node: string, id: string): string {
  return JSON.stringify([node, id]);
}

function listOf(body: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (!Array.isArray(body) || !body.every(isRecord)) throw unexpected();
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

function unexpected(): AppError {
  return new AppError('MYELIN_SOURCE_FAILED', 'the response is not a list of the catalog');
}
