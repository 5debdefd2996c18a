/** Services and endpoints from a file, or a folder of files. */
import { defineSource } from '../kit/source.ts';
import { type FileDiscovery, fileDiscovery, fileQuery, fileSettings } from './settings.ts';

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
  # With \`discover: { file: … }\` in myelin.yaml a service that has options needs no word there.
  #api:
  #  options: { listen: 10080, balance: leastconn }
  #  endpoints: ["127.0.0.1:9002"]
`;

const discover = `# Services that have \`options\` in the file are served without being listed, as these say.
#discover:
#  file: { bindAddress: 127.0.0.1, ports: "10000-19999" }

`;

const forAll: FileDiscovery = { isForAll: true };

export const file = defineSource({
  type: 'file',
  settings: fileSettings,
  query: fileQuery,
  // Each endpoint has a port of its own.
  discovery: { keys: fileDiscovery, queries: () => [{ key: '', query: forAll }], withoutEffect: ['port'] },
  example: { watcher: example, query: '{ service: web }', discover, files: { 'services.yaml': exampleServices } },
  trustsLoopback: true,
  async explain(settings, query) {
    const { explainFile } = await import('./explain.ts');
    return explainFile(settings, query);
  },
  async open(settings) {
    const { watchFile } = await import('./watch.ts');
    return watchFile(settings);
  },
});
