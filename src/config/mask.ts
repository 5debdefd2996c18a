/** Keeps secrets out of what people see: the config as it is shown, and any text that may hold one. */
import type { Config } from './schema.ts';
import { config as schema } from './schema.ts';
import { mapNoted } from './shape.ts';

const mask = '***';

/** Shorter values stand in too many innocent texts to be looked for. */
const minLength = 4;

/** The config as plain data for people and JSON, without the values of its secret fields. */
export function maskConfig(config: Config): Record<string, unknown> {
  const plain = { ...config, services: Object.fromEntries(config.services) };
  return mapNoted(schema, plain, (notes, value) => (notes.secret && value !== undefined ? mask : value));
}

/** `text` with every one of `secrets` replaced. */
export function maskSecrets(text: string, secrets: readonly string[]): string {
  // Longest first: a secret may begin with another.
  return maskable(secrets).reduce((masked, secret) => masked.replaceAll(secret, mask), text);
}

/** Whether an environment variable of this name is likely to hold a secret. */
export function isSecretName(name: string): boolean {
  return /TOKEN|PASS|PWD|SECRET|KEY|CREDENTIAL|AUTH/i.test(name);
}

/** Of `values`, those that can be looked for in a text; longest first. */
export function maskable(values: Iterable<string>): string[] {
  return [...new Set(values)].filter((value) => value.length >= minLength).sort((a, b) => b.length - a.length);
}
