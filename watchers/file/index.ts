/** Services and endpoints from a file, or a folder of files. */
import { defineSource } from '../kit/source.ts';
import { fileQuery, fileSettings } from './settings.ts';

const example = `watchers:
  # Where endpoints come from: a file, or a folder of them.
  file:
    path: ./services.yaml
    # Whether HAProxy waits for this source before it starts.
    #required: true
    # When more than this share of a service's endpoints vanishes at once, they serve on for a while.
    #maxShrink: { share: 0.5, hold: 60s }
`;

const exampleServices = `# Services and their endpoints. Myelin follows every change of this file at once.
services:
  web:
    - "127.0.0.1:9000"
    # The long form; all but address and port may be left out.
    #- { address: 127.0.0.1, port: 9001, id: web-2, weight: 2, state: ready, tags: [blue], meta: { version: "1" } }
`;

export const file = defineSource({
  type: 'file',
  settings: fileSettings,
  query: fileQuery,
  example: { watcher: example, query: '{ service: web }', files: { 'services.yaml': exampleServices } },
  trustsLoopback: true,
  async open(settings) {
    const { watchFile } = await import('./watch.ts');
    return watchFile(settings);
  },
});
