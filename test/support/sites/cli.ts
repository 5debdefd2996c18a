/** The command line that tests start. */
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');

/**
 * In `npm test` it is as it is published, built once for all files: a start takes half of the processor's time, and what
 * users run is what is tested. A file that is run by itself starts the sources.
 */
export const cli = process.env.MYELIN_CLI ?? resolve(root, 'src/cli.ts');

/** How it is started: `program` is a script for Node, or the executable that needs none. */
export function commandOf(program: string): readonly [string, ...string[]] {
  return /\.[jt]s$/.test(program) ? [process.execPath, program] : [program];
}

/** As `npm run build` leaves it. */
export const built = resolve(root, 'dist/src/cli.js');
