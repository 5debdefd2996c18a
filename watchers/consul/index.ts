/** Services of a Consul agent. */
import { defineSource } from '../kit/source.ts';
import { keyOfDiscovered } from './names.ts';
import { checkConsul, consulDiscoveries, consulDiscovery, consulQuery, consulSettings } from './settings.ts';

const example = `watchers:
  # Where endpoints come from. The variables of the consul command (CONSUL_HTTP_ADDR, …) are understood as well.
  consul:
    #address: "http://127.0.0.1:8500"
    # The ACL token; the file is read again when it changes.
    #tokenFile: /etc/myelin/consul.token
    #datacenter: dc1
    # Whether HAProxy waits for this source before it starts.
    #required: true
    # When more than this share of a service's endpoints vanishes at once, they serve on for a while.
    #maxShrink: { share: 0.5, hold: 60s }
`;

const discover = `# Services that carry this tag are served without being listed, as their meta myelin-* or tags myelin.OPTION=VALUE choose.
#discover:
#  consul: { tag: expose, bindAddress: 127.0.0.1, ports: "10000-19999" }

`;

export const consul = defineSource({
  type: 'consul',
  settings: consulSettings,
  query: consulQuery,
  // Each instance has a port of its own.
  discovery: { keys: consulDiscovery, queries: consulDiscoveries, keyOf: keyOfDiscovered, withoutEffect: ['port'] },
  example: { watcher: example, query: '{ service: web, tags: [blue], warning: use }', discover },
  check: checkConsul,
  async explain(settings, query, context) {
    const { explainConsul } = await import('./explain.ts');
    return explainConsul(settings, query, context);
  },
  async open(settings, { env, onSecret }) {
    const { watchConsul } = await import('./watch.ts');
    return watchConsul(settings, env, onSecret);
  },
});
