/**
 * The whole of `myelin.yaml`: keys, defaults, limits and descriptions, a file for each part. `myelin schema` and the
 * reference page are printed from here. All objects are strict: an unknown key is an error.
 */
import { z } from 'zod';
import type { ServiceOption } from '../../watchers/kit/service-options.ts';
import type { Source } from '../../watchers/kit/source.ts';
import { duration, filePath, someTime, text } from '../../watchers/kit/values.ts';
import type { Timestamp } from '../model.ts';
import type { Route } from '../routes/route.ts';
import { discoveryOf, type Limits } from './schema/discovery.ts';
import { frontend } from './schema/frontend.ts';
import { haproxy } from './schema/haproxy.ts';
import { admin, probes } from './schema/http.ts';
import { log } from './schema/log.ts';
import { outputs } from './schema/outputs.ts';
import { debounce, reload } from './schema/reload.ts';
import { type ParsedService, service } from './schema/service.ts';
import { builtIn, type SourceTypes, watcherIn } from './schema/watchers.ts';
import { cidr, proxyName } from './values.ts';

/** `types`: the possible sources of watchers. */
export function configWith(types: SourceTypes) {
  const [discovery, ...others] = [...types.values()]
    .filter((source) => source.discovery !== undefined)
    .map((source) => discoveryOf(source));
  if (discovery === undefined) throw new Error('no source discovers services');
  return z
    .strictObject({
      watchers: z
        .record(proxyName, watcherIn(types))
        .describe('Sources of endpoints, by name; `type` defaults to the name.'),
      services: z.record(proxyName, service).prefault({}).describe('What is served, by name.'),
      frontends: z
        .record(proxyName, frontend)
        .prefault({})
        .describe('Frontends that services share, by name: a service is reached over them by its `routes`.'),
      discover: z
        .record(proxyName, others.length === 0 ? discovery : z.union([discovery, ...others]))
        .prefault({})
        .describe('By watcher: services that it finds by itself, within these limits.'),
      include: z
        .array(text)
        .default([])
        .describe('Further files, which may hold `services` only; `*` and `?` stand for any characters of a name.'),
      allowAddresses: z
        .array(cidr)
        .default([])
        .describe(
          'Ranges (CIDR) in which endpoints are accepted although they are loopback, link-local or the like. Never accepted is what leads back to a listener of this config.',
        ),
      onlyAddresses: z
        .array(cidr)
        .default([])
        .describe('Ranges (CIDR) outside of which, and of `allowAddresses`, no endpoint is accepted. Default: any.'),
      haproxy: haproxy.prefault({}),
      templates: filePath.optional().describe('A folder whose templates replace the built-in ones, file by file.'),
      outputs,
      order: z
        .enum(['name', 'host'])
        .default('name')
        .describe('Order of servers: by name, or shuffled by this host’s name.'),
      startTimeout: someTime
        .prefault('30s')
        .describe('How long a required source may take before the others go live without it.'),
      debounce,
      reload,
      file: z
        .strictObject({
          maxLag: duration
            .prefault('200ms')
            .describe('How long the file on disk may be behind what runs; many changes are one write.'),
        })
        .prefault({})
        .describe('When `haproxy.config` is written.'),
      drainTimeout: duration
        .prefault('10m')
        .describe('How long a removed server may finish its connections; what is left then is closed, and counted.'),
      verifyInterval: someTime
        .prefault('10s')
        .describe('Within this time every backend is read back from the running HAProxy and compared.'),
      drift: z
        .enum(['repair', 'report'])
        .default('repair')
        .describe(
          'What is done with a server or a route that is not what it should be, and with a HAProxy that somebody reloaded by hand: ' +
            'repair sets it right, report only tells.',
        ),
      log,
      state: filePath.default('./run/state').describe('Myelin’s own folder: what runs, and what it was proved with.'),
      admin,
      probes,
    })
    .describe('Myelin’s config file.');
}

/** With the built-in sources. */
export const config = configWith(builtIn);

/** The parsed file, before services' `from` is resolved. */
export type ParsedConfig = z.output<typeof config>;

/** Where a service's endpoints come from: `key` is unique within the watcher and names the result in its updates. */
export type Origin = { readonly watcher: string; readonly key: string; readonly query: unknown };

/** A service as the program sees it: `from` resolved to origins, each query validated by its watcher's schema. */
export type Service = Omit<ParsedService, 'from' | 'routes'> & {
  readonly name: string;
  readonly origins: readonly Origin[];
  readonly routes: readonly Route[];
  /** When the source that discovered the service says it was created; undefined: the config lists the service. */
  readonly createdAt?: Timestamp;
};

/** A query for services that nobody listed, and the limits of what a discovered service may choose. */
export type Discovery = Origin & {
  readonly limits: Limits;
  /** Options that the source makes nothing of. */
  readonly withoutEffect: readonly ServiceOption[];
};

/** The config as the program sees it: defaults filled in, durations in milliseconds, paths absolute. */
export type Config = Readonly<Omit<ParsedConfig, 'services' | 'include' | 'discover'>> & {
  /** By name, in the order of names. */
  readonly services: ReadonlyMap<string, Service>;
  readonly discoveries: readonly Discovery[];
  /** The source of each watcher, by the watcher's name. */
  readonly sources: ReadonlyMap<string, Source>;
  /** The names of hand-written sections in the templates: no discovered service gets them. */
  readonly namesInTemplates?: readonly string[];
};
