/** Builds the status of a running Myelin. */
import type { ManagedDriver } from '../apply/driver.ts';
import type { HealthView } from '../apply/runtime/health-view.ts';
import { view } from '../catalog/catalog.ts';
import { nothingOf, report } from '../catalog/report.ts';
import { routesOf } from '../config/routes.ts';
import type { Config } from '../config/schema.ts';
import { describe } from '../errors.ts';
import { serverLines } from '../haproxy/text/text.ts';
import type { Instance } from '../instance/instance.ts';
import { toWallClock } from '../lib/time/clock.ts';
import type { Drift, Moment, Timestamp } from '../model.ts';
import type { OutputReport } from '../outputs/outputs.ts';
import type { OverrideStore } from '../reconcile/overrides/override-store.ts';
import type { Refusal } from '../settings/reload.ts';
import type { Reporter } from './reporter.ts';
import { healthOf } from './service-health.ts';
import { isEmpty, lacksEndpoints, stateOf } from './state.ts';
import type { OutputStatus, Status } from './status.ts';

export type StatusParts = {
  readonly instance: Instance;
  readonly control: ManagedDriver;
  readonly reporter: Pick<Reporter, 'lastApply' | 'lastReload' | 'pending' | 'quarantined'>;
  readonly overrides: OverrideStore;
  readonly health: Pick<HealthView, 'last'>;
  readonly version: string;
  readonly config: string;
  readonly startedAt: Moment;
  readonly refusedConfig: Refusal | null;
};

/** Limited, because anyone who may register services decides on their number. */
const mostUnserved = 100;

export function statusOf(parts: StatusParts, now: Moment): Status {
  const { instance, control, reporter, overrides, version, startedAt, refusedConfig } = parts;
  const { sources, services: known } = report(instance.collection.catalog, now);
  const quarantined = new Map(reporter.quarantined.map((one) => [one.service, one]));
  // Services that are removed, but something still refers to them.
  const names = new Set(known.map(({ name }) => name));
  const goneOnes = reporter.quarantined.flatMap(({ service }) => (names.has(service) ? [] : [nothingOf(service)]));
  const health = healthOf(parts.health.last, control.runtime?.running.sections ?? []);
  const { catalog, config } = instance.collection;
  const services = [...known, ...goneOnes].map((service) => ({
    ...service,
    lacksEndpoints: lacksEndpoints(service, config.services.get(service.name)?.onEmpty),
    health: health.get(service.name) ?? null,
  }));
  const { waitingFor } = view(catalog);
  const { lastApply, lastReload, pending } = reporter;
  return {
    version,
    at: toWallClock(now),
    config: parts.config,
    ...stateOf({
      nothing_applied: control.running === null || !instance.isBegun,
      haproxy_unresponsive: control.unresponsive !== null,
      master_unresponsive: control.masterTrouble !== null,
      waiting_for_sources: waitingFor.length > 0,
      source_down: sources.some(({ state }) => state === 'down'),
      service_stale: services.some(({ stale }) => stale !== null),
      update_failed: lastApply !== null && lastApply.error !== null,
      service_quarantined: quarantined.size > 0,
      service_down: services.some((service) => service.health?.isDown && !isEmpty(service)),
      service_empty: services.some((service) => service.lacksEndpoints),
      endpoints_kept: services.some(({ endpoints }) => endpoints.kept > 0),
      endpoints_refused: services.some(({ endpoints }) => endpoints.refused > 0),
      certificate_left_out: instance.certificates.some(({ problem }) => problem !== null),
      ca_file_left_out: instance.caFiles.some(({ problem }) => problem !== null),
      config_refused: refusedConfig !== null,
      file_behind: control.fileTrouble !== null,
      drift: instance.updater.drift.length > 0,
      output_failed: instance.outputs.states.some(({ state }) => state.kind === 'failed'),
    }),
    startedAt: toWallClock(startedAt),
    waitingFor,
    haproxy: haproxyOf(control, instance.updater.drift),
    healthAskedAt: orNull(parts.health.last, ({ at }) => toWallClock(at)),
    lastApply: lastApply === null ? null : { ...lastApply, at: toWallClock(lastApply.at) },
    lastReload: orNull(lastReload, ({ at, reasons, tookMs }) => ({ at: toWallClock(at), reasons, tookMs })),
    refusedConfig: orNull(refusedConfig, dated),
    waitingConfig: orNull(instance.edit, ({ since, waitingFor: of }) => ({ since: toWallClock(since), services: of })),
    pending: orNull(pending, ({ because, since, at, reasons }) => ({
      why: because,
      since: toWallClock(since),
      at: toWallClock(at),
      reasons,
    })),
    orders: overrides.all.map((each) => ({ ...dated(each), until: orNull(each.until, toWallClock) })),
    sources: sources.map((source) => ({
      ...source,
      unserved: instance.collection.rejected.filter(({ watcher }) => watcher === source.name).length,
      lastSuccess: orNull(source.lastSuccess, toWallClock),
      down: orNull(source.down, dated),
    })),
    services: services.map((service) => {
      const held = quarantined.get(service.name);
      const { stale, kept } = service;
      return {
        ...service,
        stale: orNull(stale, dated),
        kept: orNull(kept, (each) => ({ ...dated(each), until: orNull(each.until, toWallClock) })),
        quarantined:
          held === undefined
            ? null
            : { ...dated({ since: held.since, problems: held.problems }), servers: serversOf(control, service.name) },
      };
    }),
    outputs: instance.outputs.states.map(outputOf),
    unserved: instance.collection.rejected.slice(0, mostUnserved),
    frontends: frontendsOf(instance.collection.config),
    certificates: instance.certificates.map(({ isExpiring: _, ...certificate }) => certificate),
    caFiles: instance.caFiles,
    routesLeftOut: routesOf(instance.collection.config).conflicts.slice(0, mostUnserved),
  };
}

function frontendsOf(config: Config): Status['frontends'] {
  const { routes, conflicts } = routesOf(config);
  return Object.keys(config.frontends).map((name) => ({
    name,
    routes: routes.get(name)?.length ?? 0,
    leftOut: conflicts.filter(({ frontend }) => frontend === name).length,
  }));
}

/** According to the sections of the running HAProxy; null where none is known. */
function serversOf({ running }: ManagedDriver, service: string): number | null {
  if (running === null || running.process === null) return null;
  return running.sections
    .filter((section) => section.service === service)
    .flatMap(serverLines)
    .filter(({ words }) => !words.includes('disabled')).length;
}

/** null while no HAProxy runs, and where somebody else starts it. */
function haproxyOf(
  { running, oldWorkers, unresponsive, masterTrouble, fileTrouble }: ManagedDriver,
  drift: readonly Drift[],
): Status['haproxy'] {
  if (running === null || running.process === null) return null;
  const { generation, since, process } = running;
  const { pid, version, socket } = process;
  return {
    pid,
    version: version.text,
    generation,
    since: toWallClock(since),
    socket,
    unresponsive: orNull(unresponsive, dated),
    masterTrouble: orNull(masterTrouble, dated),
    fileTrouble: orNull(fileTrouble, dated),
    drift,
    oldWorkers: oldWorkers.map(dated),
  };
}

function outputOf({ name, path, state, writtenAt }: OutputReport): OutputStatus {
  const failed =
    state.kind === 'failed'
      ? { step: state.step, reason: describe(state.error), since: toWallClock(state.since) }
      : null;
  return { name, path, state: state.kind, failed, writtenAt: orNull(writtenAt, toWallClock) };
}

function dated<T extends { readonly since: Moment }>(told: T): T & { readonly since: Timestamp } {
  return { ...told, since: toWallClock(told.since) };
}

function orNull<T, R>(value: T | null, map: (value: T) => R): R | null {
  return value === null ? null : map(value);
}
