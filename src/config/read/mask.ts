/** Masks secrets in everything that people see: in the config as it is shown, and in any text that may contain one. */

import type { z } from 'zod';
import { discoveryOf } from '../schema/discovery.ts';
import { service as serviceSchema } from '../schema/service.ts';
import { watcherOf } from '../schema/watchers.ts';
import { type Config, type Discovery, type Service, config as schema } from '../schema.ts';
import { mapNoted, secretsIn } from '../validate/shape.ts';

const mask = '***';

/** Shorter values are not masked in texts: too many harmless words contain them. */
const minLength = 4;

/** The config as plain data for people and JSON, without the values of its secret fields. */
export function maskConfig(config: Config): Record<string, unknown> {
  const { sources, watchers, services, discoveries, ...others } = config;
  const masked = {
    watchers: Object.fromEntries(
      Object.entries(watchers).map(([name, watcher]) => {
        const source = sources.get(name);
        return [name, source === undefined ? {} : hideSecrets(watcherOf(watcher.type, source), watcher)];
      }),
    ),
    ...hideSecrets(schema, others),
    services: Object.fromEntries([...services].map(([name, service]) => [name, maskService(service, sources)])),
    discoveries: discoveries.map((discovery) => maskDiscovery(discovery, sources)),
  };
  return mapTexts(masked, maskLines) as Record<string, unknown>;
}

function maskService(service: Service, sources: Config['sources']): unknown {
  return {
    ...hideSecrets(serviceSchema, service),
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
  const keys = discoveryOf(source);
  return { ...others, query: maskWithin(query, secretsIn(keys, limits)), limits: hideSecrets(keys, limits) };
}

function hideSecrets<T>(described: z.ZodType, value: T): T {
  return mapNoted(described, value, ({ secret }, part) => (secret && part !== undefined ? mask : part));
}

/** Masks all `secrets` in lines for HAProxy, and the passwords that are written in such lines. */
export function maskText(text: string, secrets: readonly string[]): string {
  return maskLines(maskSecrets(text, secrets));
}

/** The password of `stats auth USER:PASSWORD`, and those of a userlist. */
const passwords = /(\bstats\s+auth\s+["']?[^\s:"']+:|(?<=\s)(?:insecure-)?password\s+["']?)[^\s"']+/g;

function maskLines(text: string): string {
  return text.replace(passwords, (_, before: string) => `${before}${mask}`);
}

/** Masks all `secrets` in `text`. */
export function maskSecrets(text: string, secrets: readonly string[]): string {
  // Longest first: a secret may begin with another.
  return maskable(secrets).reduce((masked, secret) => masked.replaceAll(secret, mask), text);
}

/** Masks all `secrets` in plain data, under any key and in any quoting. */
export function maskWithin<T>(value: T, secrets: readonly string[]): T {
  const all = spellings(secrets);
  return mapTexts(value, (text) => maskSecrets(text, all)) as T;
}

/** Whether an environment variable of this name is likely to hold a secret. */
export function isSecretName(name: string): boolean {
  return /TOKEN|PASS|PWD|SECRET|KEY|CREDENTIAL|AUTH/i.test(name);
}

/** The values that are long enough to be masked in texts; longest first. */
export function maskable(values: Iterable<string>): string[] {
  return [...new Set(values)].filter((value) => value.length >= minLength).sort((a, b) => b.length - a.length);
}

function mapTexts(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value);
  // A number is masked where the whole number is a secret, not where only some of its digits are.
  if (typeof value === 'number') return map(String(value)) === mask ? mask : value;
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [map(key), mapTexts(item, map)]));
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
