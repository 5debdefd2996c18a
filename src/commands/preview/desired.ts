/** The desired state, for commands that only look: rendered from the live sources or from a snapshot file. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { type Entry, parseServices } from '../../../watchers/file/parse.ts';
import { type Catalog, createCatalog, receive, view } from '../../catalog/catalog.ts';
import { catalogSettings } from '../../catalog/catalog-settings.ts';
import type { Remembered } from '../../catalog/collection.ts';
import { Certificates } from '../../certificates/certificates.ts';
import { endpointsFile, formerKnownServicesFile, knownServicesFile } from '../../config/paths.ts';
import { withoutSecrets } from '../../config/read/mask.ts';
import type { Config } from '../../config/schema.ts';
import { AppError, describe } from '../../errors.ts';
import { findBinary } from '../../haproxy/binary/binary.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import { ownAddresses } from '../../lib/net/own-addresses.ts';
import { now } from '../../lib/time/clock.ts';
import type { Endpoint, Problem, Section } from '../../model.ts';
import { type Output, renderOutput } from '../../outputs/file-output.ts';
import type { ServiceView } from '../../outputs/target.ts';
import type { RenderResult } from '../../render/render.ts';
import { printableLines } from '../../report/text/printable.ts';
import { problemLines } from '../../report/text/problem-text.ts';
import { presumedVersion, type Settings } from '../../settings/settings.ts';
import { KnownEndpoints } from '../../sources/known-endpoints.ts';
import { KnownServices } from '../../sources/known-services.ts';
import { askSources } from './ask-sources.ts';

type Given = {
  /** A file whose endpoints stand in for those of the sources. */
  readonly snapshot?: string | undefined;
  /** What runs, which stays where no source has reported endpoints. */
  readonly running?: readonly Section[] | null;
};

type Desired = RenderResult & {
  readonly outputs: readonly DesiredOutput[];
  /** The same sections, with a mask in the place of each secret. */
  readonly masked: () => readonly Section[];
};

/** `text` null: not every service is known, so the file stays as it is. */
export type DesiredOutput = { readonly output: Output; readonly text: string | null };

/** Throws MYELIN_SOURCE_TIMEOUT naming the sources that did not answer within `startTimeout`. */
export async function renderDesired(
  settings: Settings,
  env: NodeJS.ProcessEnv,
  { snapshot, running = null }: Given,
): Promise<Desired> {
  const { renderer } = settings;
  const { config, catalog } =
    snapshot === undefined
      ? await askSources(settings, env, { last: await lastKnown(settings.config), remedy: orSnapshot })
      : { config: settings.config, catalog: await readSnapshot(settings.config, snapshot) };
  const version = await versionOf(config, env);
  const { endpoints, unknown, pending } = view(catalog);
  const isKnown = pending.size === 0;
  const kept = Map.groupBy(
    (running ?? []).filter(({ service }) => service !== null && unknown.has(service)),
    ({ service }) => service ?? '',
  );
  const inForce = (await Certificates.open(config, { isPreview: true })).of(config);
  const input = { config, endpoints, kept, ...inForce, version, hostname: hostname() };
  const result = renderer.render(input);
  if (result.problems.length > 0) throw templatesFail(result.problems);
  return {
    ...result,
    outputs: settings.outputs.map((output) => outputOf(output, isKnown ? { endpoints } : null)),
    masked: () => renderer.render({ ...input, config: withoutSecrets(config, settings.inserted) }).sections,
  };
}

const orSnapshot = 'see that the source runs and is reachable, or give `--snapshot FILE` with endpoints in its place';

/** Like `run`, begins with what was known last. */
async function lastKnown(config: Config): Promise<Remembered> {
  const { all: discovered } = await KnownServices.open(
    knownServicesFile(config),
    warn,
    formerKnownServicesFile(config),
  );
  const { all: endpoints } = await KnownEndpoints.open(endpointsFile(config), warn);
  return { discovered, endpoints };
}

function outputOf(output: Output, services: ServiceView | null): DesiredOutput {
  return { output, text: services === null ? null : renderOutput(output, services) };
}

/** A template fails for the data of these services. */
export function templatesFail(problems: readonly Problem[]): AppError {
  return new AppError('MYELIN_TEMPLATE_INVALID', problemLines(problems).join('\n'));
}

/** Of the HAProxy on this machine; where there is none, the one that the config presumes. */
export async function versionOf(config: Config, env: NodeJS.ProcessEnv): Promise<Version> {
  const binary = await findBinary(config.haproxy.binary, env.PATH).catch((error: unknown) => {
    if (error instanceof AppError) return null;
    throw error;
  });
  return binary?.version ?? presumedVersion(config);
}

/** What is shown may lack something because of it. */
export function warn(error: unknown): void {
  process.stderr.write(`warning: ${printableLines(describe(error))}\n`);
}

/** The file stands for every source: each service's endpoints are those under its name. */
async function readSnapshot(config: Config, path: string): Promise<Catalog> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new AppError('MYELIN_USAGE', `cannot read the snapshot ${path}`, { cause });
  });
  const parsed = parseServices(path, text);
  if (parsed.kind === 'invalid') throw new AppError('MYELIN_USAGE', parsed.reason);
  const lists = new Map([...parsed.services].map(([name, entry]) => [name, wholeList(entry)]));
  const at = now();
  const settings = catalogSettings(config, { discovered: [], addresses: ownAddresses(process.env) });
  let catalog = createCatalog(settings, at);
  for (const watcher of settings.watchers.keys()) {
    for (const { origins, name } of config.services.values())
      for (const origin of origins.filter((one) => one.watcher === watcher).slice(0, 1)) {
        const endpoints = lists.get(name) ?? [];
        catalog = receive(catalog, { watcher, kind: 'endpoints', key: origin.key, endpoints }, at);
      }
    catalog = receive(catalog, { watcher, kind: 'synced' }, at);
  }
  return catalog;
}

/** The person who passes a snapshot can mend it, so a faulty entry is an error. */
function wholeList(entry: Entry): readonly Endpoint[] {
  const fault = entry.kind === 'unreadable' ? entry.reason : entry.unreadable[0]?.reason;
  if (entry.kind === 'unreadable' || fault !== undefined) throw new AppError('MYELIN_USAGE', fault ?? entry.place);
  return entry.endpoints;
}
