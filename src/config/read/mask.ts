/**
 * Masks secrets in what people see. What Myelin makes of the config is masked where a secret was put in (`maskConfig`,
 * `withoutSecrets`), never by looking for its letters; what others say (sources, HAProxy) is searched for them.
 */

import type { z } from 'zod';
import { discoveryOf } from '../schema/discovery.ts';
import { service as serviceSchema } from '../schema/service.ts';
import { watcherOf } from '../schema/watchers.ts';
import { type Config, type Discovery, type Service, config as schema } from '../schema.ts';
import { mapNoted, secretsIn } from '../validate/shape.ts';

export const mask = '***';

/** What was put into a text of the config. */
export type Inserted = {
  /** The text, with a mask in the place of what was put in. */
  readonly masked: string;
  readonly secrets: readonly string[];
};

/** By the whole text. */
export type Insertions = ReadonlyMap<string, Inserted>;

/** Shorter values are not masked in texts: too many harmless words contain them. */
const minLength = 4;

/** What may be a word, and so a part of a name: it is masked where it stands alone, longer ones anywhere. */
const wordLike = /^[\p{L}\p{N}_.-]{1,11}$/u;

/** The config as plain data for people and JSON, without the values of its secret fields. */
export function maskConfig(config: Config, inserted: Insertions): Record<string, unknown> {
  const { sources, watchers, services, discoveries, ...others } = withoutSecrets(config, inserted);
  const masked = {
    watchers: Object.fromEntries(
      Object.entries(watchers).map(([name, watcher]) => {
        const source = sources.get(name);
        return [name, source === undefined ? {} : hideSecrets(watcherOf(watcher.type, source), watcher, inserted)];
      }),
    ),
    ...others,
    services: Object.fromEntries([...services].map(([name, service]) => [name, maskOrigins(service, sources)])),
    discoveries: discoveries.map((discovery) => maskDiscovery(discovery, sources)),
  };
  return mapTexts(masked, maskLines) as Record<string, unknown>;
}

/** The config with masks in what HAProxy's file is made of, so that the file can be rendered for people. */
export function withoutSecrets(config: Config, inserted: Insertions): Config {
  const { sources, watchers, services, discoveries, ...others } = config;
  return {
    ...hideSecrets(schema, others, inserted),
    sources,
    watchers,
    services: new Map([...services].map(([name, service]) => [name, hideSecrets(serviceSchema, service, inserted)])),
    discoveries: discoveries.map((discovery) => {
      const source = sources.get(discovery.watcher);
      if (source === undefined) return discovery;
      return { ...discovery, limits: hideSecrets(discoveryOf(source), discovery.limits, inserted) };
    }),
  };
}

function maskOrigins(service: Service, sources: Config['sources']): unknown {
  return {
    ...service,
    origins: service.origins.map((origin) => {
      const source = sources.get(origin.watcher);
      return source === undefined ? origin : { ...origin, query: hideSecrets(source.query, origin.query) };
    }),
  };
}

/** The query that a source makes of its `discover` keys has no schema: values of secret keys are searched for in it. */
function maskDiscovery({ limits, query, ...others }: Discovery, sources: Config['sources']): unknown {
  const source = sources.get(others.watcher);
  if (source === undefined) return others;
  return { ...others, query: maskWithin(query, secretsIn(discoveryOf(source), limits)), limits };
}

function hideSecrets<T>(described: z.ZodType, value: T, inserted: Insertions = new Map()): T {
  return mapNoted(described, value, ({ secret, raw }, part) => {
    if (secret) return part === undefined ? part : mask;
    return raw && typeof part === 'string' ? (inserted.get(part)?.masked ?? part) : part;
  });
}

/** Masks all `secrets` in what HAProxy says, and the passwords that stand in the lines that it quotes. */
export function maskText(text: string, secrets: readonly string[]): string {
  return maskLines(maskSecrets(text, secrets));
}

/** The password of `stats auth USER:PASSWORD`, and those of a userlist. */
const passwords = /(\bstats\s+auth\s+["']?[^\s:"']+:|(?<=\s)(?:insecure-)?password\s+["']?)[^\s"']+/g;

/** The password of `http://USER:PASSWORD@HOST`. */
const passwordInUrl = /(:\/\/[^\s/:@"']*:)[^\s/@"']+(?=@)/g;

/** Masks the passwords that stand in lines for HAProxy, and in URLs. */
export function maskLines(text: string): string {
  const masked = (_: string, before: string): string => `${before}${mask}`;
  return text.replace(passwords, masked).replace(passwordInUrl, masked);
}

/** Masks all `secrets` in `text`. */
export function maskSecrets(text: string, secrets: readonly string[]): string {
  // Longest first: a secret may begin with another.
  return maskable(secrets).reduce(
    (masked, secret) => (wordLike.test(secret) ? maskWord(masked, secret) : masked.replaceAll(secret, mask)),
    text,
  );
}

/** Masks `word` where no letter or digit, nor a name joined by `-`, `_` or `.`, stands beside it; `%20` does. */
function maskWord(text: string, word: string): string {
  if (!text.includes(word)) return text;
  const escaped = word.replaceAll('.', '\\.');
  const alone = new RegExp(`(?<!(?<!%[0-9A-Fa-f]?)[\\p{L}\\p{N}][-_.]?)${escaped}(?![-_.]?[\\p{L}\\p{N}])`, 'gu');
  return text.replace(alone, mask);
}

/**
 * Masks all `secrets` in plain data, in any quoting. Names stay as they are, and so do the words that Myelin itself says
 * under these keys: no secret gets there, and with a part of a name missing nobody can act on it.
 */
export function maskWithin<T>(value: T, secrets: readonly string[]): T {
  const all = spellings(secrets);
  const noWords = all.filter((secret) => !wordLike.test(secret));
  const key = (text: string): string => maskSecrets(text, noWords);
  return mapTexts(value, (text) => maskSecrets(text, all), { key, except: names }) as T;
}

const names: ReadonlySet<string> = new Set(
  (
    'time level app kind state result name names service services server servers backend backends frontend frontends ' +
    'watcher watchers route holder host certificate section waitingFor unanswered part id version'
  ).split(' '),
);

/** Whether an environment variable of this name is likely to hold a secret. */
export function isSecretName(name: string): boolean {
  return /TOKEN|PASS|PWD|SECRET|KEY|CREDENTIAL|AUTH/i.test(name);
}

/** The values that are long enough to be masked in texts; longest first. */
export function maskable(values: Iterable<string>): string[] {
  return [...new Set(values)].filter((value) => value.length >= minLength).sort((a, b) => b.length - a.length);
}

type OfMap = { readonly key: (text: string) => string; readonly except: ReadonlySet<string> };

/** Text, or a list of texts, under one of the keys `except` stays. */
function mapTexts(
  value: unknown,
  map: (text: string) => string,
  of: OfMap = { key: (text) => text, except: new Set() },
): unknown {
  if (typeof value === 'string') return map(value);
  // A number is masked where the whole number is a secret, not where only some of its digits are.
  if (typeof value === 'number') return map(String(value)) === mask ? mask : value;
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, map, of));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      of.key(key),
      of.except.has(key) && isText(item) ? item : mapTexts(item, map, of),
    ]),
  );
}

function isText(value: unknown): boolean {
  return typeof value === 'string' || (Array.isArray(value) && value.every((item) => typeof item === 'string'));
}

/** The forms of a secret in a text that quotes it: in JSON, in JSON within JSON, in a URL, in a header. */
function spellings(secrets: readonly string[]): string[] {
  return secrets.flatMap((secret) => {
    const inJson = JSON.stringify(secret).slice(1, -1);
    const inJsonTwice = JSON.stringify(inJson).slice(1, -1);
    // encodeURIComponent throws on a lone surrogate.
    return [secret, inJson, inJsonTwice, encodeURIComponent(secret.toWellFormed())];
  });
}
