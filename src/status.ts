/** Puts together what a running Myelin says of itself. */
import type { Control } from './apply/control.ts';
import { view } from './catalog/catalog.ts';
import { report } from './catalog/report.ts';
import type { Status, Trouble } from './http/status.ts';
import type { Instance } from './main.ts';
import type { Drift, Moment } from './model.ts';
import type { Observer } from './observer.ts';
import type { Orders } from './orders.ts';

export type StatusParts = {
  readonly instance: Instance;
  readonly control: Control;
  readonly observer: Observer;
  readonly orders: Orders;
  readonly version: string;
  readonly startedAt: Moment;
  readonly refusedConfig: Trouble | null;
};

export function statusOf(parts: StatusParts, now: Moment): Status {
  const { instance, control, observer, orders, version, startedAt, refusedConfig } = parts;
  const { sources, services } = report(instance.collection.catalog, now);
  const apart = new Map(observer.apart.map((one) => [one.service, one]));
  const { waitingFor, isBlind } = view(instance.collection.catalog);
  const { lastApply, pending } = observer;
  const isTroubled =
    waitingFor.length > 0 ||
    apart.size > 0 ||
    refusedConfig !== null ||
    control.fileTrouble !== null ||
    instance.changes.drift.length > 0 ||
    (lastApply !== null && lastApply.error !== null) ||
    sources.some(({ state }) => state === 'down') ||
    services.some(({ stale }) => stale !== null);
  return {
    version,
    // With nothing to serve it must not take the place of one that has, as in a rolling update.
    state: control.running === null || isBlind ? 'starting' : isTroubled ? 'degraded' : 'ready',
    startedAt,
    waitingFor,
    haproxy: haproxyOf(control, instance.changes.drift),
    lastApply,
    refusedConfig,
    pending: pending === null ? null : { why: pending.because, at: pending.at },
    orders: orders.all,
    sources,
    services: services.map((service) => {
      const held = apart.get(service.name);
      return { ...service, quarantined: held === undefined ? null : { since: held.since, problems: held.problems } };
    }),
    unserved: instance.collection.unserved,
  };
}

/** null while none runs, and where somebody else starts it. */
function haproxyOf({ running, oldWorkers, fileTrouble }: Control, drift: readonly Drift[]): Status['haproxy'] {
  if (running === null || running.process === null) return null;
  const { generation, since, process } = running;
  const { pid, version, socket } = process;
  return { pid, version: version.text, generation, since, socket, fileTrouble, drift, oldWorkers };
}
