/** The registry: one line a source. What one needs to run is loaded only where it is configured. */
export { consul } from './consul/index.ts';
export { file } from './file/index.ts';
export { kubernetes } from './kubernetes/index.ts';
