/** `myelin schema`: prints the JSON Schema of the config, with the watchers of its own that it has. */
import { existsSync } from 'node:fs';
import { loadConfig } from '../../config/load.ts';
import { jsonSchema } from '../../config/print/json-schema.ts';
import { ConfigError } from '../../config/problems.ts';
import { builtIn, type SourceTypes } from '../../config/schema/watchers.ts';
import { exitCodes } from '../../errors.ts';
import type { Globals } from '../globals.ts';

export async function schema({ config }: Globals): Promise<number> {
  const own = existsSync(config) ? await ownTypes(config) : [];
  process.stdout.write(`${JSON.stringify(jsonSchema(new Map([...builtIn, ...own])), null, 2)}\n`);
  return exitCodes.ok;
}

async function ownTypes(path: string): Promise<SourceTypes> {
  try {
    const { config } = await loadConfig(path, process.env);
    const named = Object.entries(config.watchers).flatMap(([name, { type }]) => {
      const source = config.sources.get(name);
      return source === undefined ? [] : [[type, source] as const];
    });
    return new Map(named);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${path} is not valid: watchers of its own are left out (\`myelin check\` says why)\n`);
    return new Map();
  }
}
