/** Parses a large file on a thread of its own: here it would hold up all other sources, and HAProxy, for so long. */
import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe } from '../../src/errors.ts';
import { type Parsed, parseServices } from './parse.ts';

/** Parsed in some 20 ms, which is less than a thread takes to start. */
const longestHere = 32_768;
const script = new URL(`./parse-worker${extname(import.meta.url)}`, import.meta.url);

/** What a file is parsed from, on that thread. */
export type Work = { readonly file: string; readonly text: string };

/** Never rejects: what cannot be parsed for want of memory is a file that cannot be used. */
export async function parseAside(work: Work): Promise<Parsed> {
  const { file, text } = work;
  if (text.length <= longestHere) return parseServices(file, text);
  const worker = new Worker(script, { workerData: work, resourceLimits: { maxOldGenerationSizeMb: 384 } });
  try {
    const [parsed] = (await once(worker, 'message')) as [Parsed];
    return parsed;
  } catch (error) {
    return { kind: 'invalid', reason: `${file}:1:1: cannot be parsed: ${describe(error)}` };
  } finally {
    await worker.terminate();
  }
}
