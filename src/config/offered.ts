/**
 * Services that nobody listed, as if the config listed them: what sources offer, within the administrator's limits, each
 * judged as the config is. Pure: the same offers make the same services on every replica, in whatever order they came.
 */
import { isIPv6 } from 'node:net';
import { frontendName } from '../haproxy/names.ts';
import type { Offer } from '../model.ts';
import { Held, type Listener, listenersOf } from './check-binds.ts';
import { proxiesIn, reservedBy } from './names.ts';
import { didYouMean, formatPath, type Path } from './problems.ts';
import {
  type Config,
  type Discovery,
  kubernetesQuery,
  type Limits,
  type Origin,
  type Service,
  service as schema,
} from './schema.ts';
import { plainBalances, type ServiceOption, serviceOptions, settingOf } from './service-options.ts';
import { schemaAt } from './shape.ts';
import type { Mark } from './tree.ts';
import { replaceAt, validate } from './validate.ts';
import { port, proxyName } from './values.ts';

export type Offered = { readonly discovery: Discovery; readonly offer: Offer };

/** Nobody serves it, and why. */
export type Unserved = { readonly watcher: string; readonly service: string; readonly reason: string };

/** `config` with the services that are offered; the same object where there are none. */
export function withOffers(
  config: Config,
  offered: readonly Offered[],
): { readonly config: Config; readonly unserved: readonly Unserved[] } {
  if (offered.length === 0) return { config, unserved: [] };
  const services = new Map<string, Service>(config.services);
  const unserved: Unserved[] = [];
  const claims = new Claims(config);
  for (const { discovery, offer } of offered.toSorted(byAge)) {
    const judged = judge(discovery, offer);
    const reason = judged.kind === 'refused' ? judged.reason : claims.add(judged.service);
    if (reason !== null) unserved.push({ watcher: discovery.watcher, service: offer.name, reason });
    else if (judged.kind === 'service') services.set(offer.name, judged.service);
  }
  const ordered = new Map([...services].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { config: { ...config, services: ordered }, unserved: unserved.sort(byName) };
}

/** The oldest first: of two that claim the same, it has it. */
function byAge(a: Offered, b: Offered): number {
  return a.offer.createdAt - b.offer.createdAt || compare(labelOf(a), labelOf(b));
}

function labelOf({ discovery, offer }: Offered): string {
  return `${offer.name} ${discovery.watcher} ${offer.key}`;
}

function byName(a: Unserved, b: Unserved): number {
  return compare(`${a.service} ${a.watcher}`, `${b.service} ${b.watcher}`);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Names and addresses that are taken: by the config, and by those who came first. */
class Claims {
  readonly #names = new Map<string, string>();
  readonly #reserved: (name: string) => string | null;
  readonly #held = new Held();

  constructor({ services, haproxy, admin, probes }: Config) {
    this.#reserved = reservedBy(services.keys());
    for (const name of services.keys()) this.#names.set(name, 'a service of the config');
    for (const text of haproxy.sections)
      for (const { name } of proxiesIn(text)) this.#names.set(name, 'a hand-written section');
    for (const listener of listenersOf({ rest: { haproxy, admin, probes }, services }, judgeless))
      this.#held.add(listener);
  }

  /** Why it cannot be served; null: it has all that it claims from now on. */
  add(service: Service): string | null {
    const { name } = service;
    for (const one of [name, frontendName(name)]) {
      const owner = this.#names.get(one) ?? this.#reserved(one);
      if (owner !== null) return `the name ${one} is taken: ${owner}`;
    }
    const listeners = listenersOf({ rest: {}, services: new Map([[name, service]]) }, judgeless);
    for (const listener of listeners) {
      const holder = this.#held.holderOf(listener);
      if (holder !== undefined) return `${listener.text} is taken by ${describe(holder)}`;
    }
    this.#names.set(name, 'an older service').set(frontendName(name), 'an older service');
    for (const listener of listeners) this.#held.add(listener);
    return null;
  }
}

function describe({ path, text }: Listener): string {
  return path[0] === 'services' ? `the service ${path[1]}` : `${text} of ${formatPath(path)}`;
}

/** The config has been judged already. */
const judgeless = {
  report: () => {},
  isRefused: () => false,
  pathOfItem: (list: Path): Path => list,
};

type Judged =
  | { readonly kind: 'service'; readonly service: Service }
  | { readonly kind: 'refused'; readonly reason: string };

/** An offer that did not change is the same service, which need not be judged or rendered again. */
const judgedBefore = new WeakMap<Limits, WeakMap<Offer, Judged>>();

function judge(discovery: Discovery, offer: Offer): Judged {
  const { limits } = discovery;
  const known = judgedBefore.get(limits) ?? new WeakMap<Offer, Judged>();
  judgedBefore.set(limits, known);
  const before = known.get(offer);
  if (before !== undefined) return before;
  const judged = interpret(discovery, offer);
  known.set(offer, judged);
  return judged;
}

/** The question about its endpoints: another one where another question found it. */
export function originOfOffer({ discovery: { watcher, query }, offer: { key } }: Offered): Origin {
  return { watcher, key, query };
}

function interpret(discovery: Discovery, offer: Offer): Judged {
  const { limits } = discovery;
  const { name, options } = offer;
  const problems: string[] = [];
  if (!proxyName.safeParse(name).success) problems.push(`${JSON.stringify(name)} cannot be a name in HAProxy`);
  let settings: unknown = { ...limits.service, bind: undefined };
  for (const [option, text] of Object.entries(options)) {
    const read = isOption(option, limits) ? readOption(option, text, limits) : refusalOf(option, limits);
    if (typeof read === 'string') problems.push(`${option}: ${read}`);
    else if (read !== null) settings = replaceAt(settings, read.path, read.value);
  }
  if (problems.length > 0) return { kind: 'refused', reason: problems.sort().join('; ') };
  const service = { ...(settings as Service), name, origins: [originOfOffer({ discovery, offer })] };
  return { kind: 'service', service };
}

function isOption(option: string, limits: Limits): option is ServiceOption {
  return allowedBy(limits).includes(option);
}

function allowedBy({ options }: Limits): readonly string[] {
  return options ?? serviceOptions;
}

function refusalOf(option: string, limits: Limits): string {
  const options = allowedBy(limits);
  if ((serviceOptions as readonly string[]).includes(option)) return 'may not be chosen here (discover.options)';
  return `unknown option; allowed: ${options.join(', ')}${didYouMean(option, options)}`;
}

/** An annotation may have 256 KiB. */
const longestText = 1024;

type Read = { readonly path: Path; readonly value: unknown } | null;

/** What is to stand where in the settings of the service; a text says what is wrong. */
function readOption(option: ServiceOption, text: string, limits: Limits): Read | string {
  if (text.length > longestText) return `expected at most ${longestText} characters`;
  if (option === 'listen') return readListen(text, limits);
  // Which of its ports it means is the watcher's matter.
  if (option === 'port') return problemOf(validate(kubernetesQuery.shape.port, text, asText)) ?? null;
  if (option === 'balance' && !(plainBalances as readonly string[]).includes(text))
    return `${JSON.stringify(text)} is not allowed; allowed: ${plainBalances.join(', ')}`;
  const path = settingOf[option];
  const place = schemaAt(schema, {}, path);
  if (place === undefined) throw new Error(`a service has no setting ${formatPath(path)}`);
  const verdict = validate(place, text, asText);
  return problemOf(verdict) ?? { path, value: 'output' in verdict ? verdict.output : undefined };
}

function readListen(text: string, { ports, bindAddress }: Limits): Read | string {
  const verdict = validate(port, text, asText);
  if (!('output' in verdict)) return problemOf(verdict) ?? '';
  if (ports === undefined) return 'no ports may be chosen here (discover.ports)';
  if (verdict.output < ports.first || verdict.output > ports.last)
    return `${text} is not allowed; allowed: ${ports.first} to ${ports.last} (discover.ports)`;
  const host = isIPv6(bindAddress) ? `[${bindAddress}]` : bindAddress;
  return { path: ['bind'], value: [`${host}:${verdict.output}`] };
}

function problemOf(verdict: ReturnType<typeof validate>): string | undefined {
  // Where a text is wrong in two ways, to mend the first one often mends both.
  return 'problems' in verdict ? verdict.problems[0]?.message : undefined;
}

/** A number written as text is a number, as where it comes from the environment. */
const nowhere = { file: '', line: 0, column: 0 };
const asText: Mark = { key: nowhere, value: nowhere, isSubstituted: true, children: new Map() };
