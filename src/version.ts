/** Myelin's own version, from its package. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The same file from `src` and from `dist`. */
export function ownVersion(): string {
  const text = readFileSync(fileURLToPath(import.meta.resolve('#package.json')), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
