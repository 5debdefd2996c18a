/** `myelin schema`: prints the JSON Schema of the config. */
import { jsonSchema } from '../config/print/json-schema.ts';
import { exitCodes } from '../errors.ts';

export async function schema(): Promise<number> {
  process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
  return exitCodes.ok;
}
