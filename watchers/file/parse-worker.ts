/** The thread of `parse-aside.ts`: one file, one answer. */
import { parentPort, workerData } from 'node:worker_threads';
import { parseServices } from './parse.ts';
import type { Work } from './parse-aside.ts';

const { file, text } = workerData as Work;
parentPort?.postMessage(parseServices(file, text));
