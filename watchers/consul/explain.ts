/** What Consul says of every instance of a service, with its checks and tags: asked once, for people. */
import { z } from 'zod';
import type { Ms, SourceAnswer, SourceInstance } from '../../src/model.ts';
import { openClient } from './agent/client.ts';
import { connectionOf } from './agent/connection.ts';
import { meantBy } from './catalog/own-options.ts';
import { nameOfKey } from './names.ts';
import { endpointsOf, type Instance, readInstances } from './service/endpoints.ts';
import type { ConsulDiscovery, ConsulQuery, ConsulSettings } from './settings.ts';

type Context = {
  readonly env: NodeJS.ProcessEnv;
  readonly onSecret: (secret: string) => void;
  readonly signal: AbortSignal;
};

type Asked = { readonly key: string; readonly settings: ConsulQuery | ConsulDiscovery };

const timeoutMs: Ms = 5000;

/** What is followed all the time has no use for the words of the checks, which may be pages. */
const checksIn = z.array(
  z.object({
    Checks: z.array(z.object({ CheckID: z.string(), Status: z.string(), Output: z.string().default('') })),
  }),
);
type Check = z.output<typeof checksIn>[number]['Checks'][number];

/** Rejects where the agent does not answer. */
export async function explainConsul(
  settings: ConsulSettings,
  { key, settings: query }: Asked,
  { env, onSecret, signal }: Context,
): Promise<SourceAnswer> {
  const client = await openClient(connectionOf(settings, env), 1, onSecret, signal);
  const dc = ('datacenter' in query ? query.datacenter : undefined) ?? settings.datacenter;
  const service = ('service' in query ? query.service : undefined) ?? nameOfKey(key);
  // Without tags and filter, so that instances which these leave out are among them.
  const common = { service, stale: true, ...(dc === undefined ? {} : { dc }) };
  const { body } = await client.health(common, timeoutMs);
  const [all, checks] = [readInstances(body), checksIn.parse(body)];
  const filter = 'filter' in query ? query.filter : undefined;
  const passing =
    filter === undefined ? all : readInstances((await client.health({ ...common, filter }, timeoutMs)).body);
  const within = new Set(passing.map(idOf));
  const instances = all.map((instance, at) => explained(instance, checks[at]?.Checks ?? [], query, within));
  return { unfit: null, said: [], instances };
}

function explained(
  instance: Instance,
  checks: readonly Check[],
  query: ConsulQuery | ConsulDiscovery,
  within: ReadonlySet<string>,
): SourceInstance {
  const { Service } = instance;
  const { endpoints, unfit } = endpointsOf([instance], { warning: query.warning ?? 'ignore' });
  const [{ id, address, port } = { id: '', address: '', port: 0 }] = [...endpoints, ...unfit];
  const failing = checks.filter(({ Status }) => Status !== 'passing').map(wordsOf);
  const reasons = [
    ...lacking(Service, query),
    ...(within.has(idOf(instance)) ? [] : ['the filter of the query leaves it out']),
    // One in maintenance finishes what it has.
    ...(endpoints.some(({ state }) => state === 'ready') ? [] : failing),
  ];
  return { id, address, port, unfit: reasons.length === 0 ? null : reasons.join('; '), said: checks.map(wordsOf) };
}

/** What the query asks an instance for, and it does not have. */
function lacking({ Tags, Meta }: Instance['Service'], query: ConsulQuery | ConsulDiscovery): readonly string[] {
  const tags = Tags ?? [];
  const missing = wantedTags(query).filter((tag) => !tags.includes(tag));
  const wanted = 'meta' in query ? query.meta : {};
  const missingMeta = Object.entries(wanted).filter(([name, value]) => Meta?.[name] !== value);
  const isMeant = 'meta' in query ? meantBy(query) : null;
  return [
    ...(missing.length === 0 ? [] : [`it lacks the tag ${missing.join(', ')}; it has ${tags.join(', ') || 'none'}`]),
    ...missingMeta.map(([name, value]) => {
      const its = Meta?.[name];
      return `it lacks the meta ${name}=${value}; ${its === undefined ? `it has no ${name}` : `its ${name} is ${its}`}`;
    }),
    ...(isMeant === null || isMeant(tags)
      ? []
      : [`it has no tag of fabio, such as urlprefix-/; it has ${tags.join(', ') || 'none'}`]),
  ];
}

function wantedTags(query: ConsulQuery | ConsulDiscovery): readonly string[] {
  if ('tags' in query) return query.tags;
  return query.tag === undefined ? [] : [query.tag];
}

function idOf({ Node, Service }: Instance): string {
  return `${Node.Node}:${Service.ID}`;
}

/** The beginning of what a check said: it may be a page. */
const mostOutput = 200;

function wordsOf({ CheckID, Status, Output }: Check): string {
  const output = Output.trim().replaceAll(/\s+/g, ' ');
  const shown = output.length > mostOutput ? `${output.slice(0, mostOutput)}…` : output;
  return `check ${CheckID} is ${Status}${shown === '' ? '' : `: ${shown}`}`;
}
