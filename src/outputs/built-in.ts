/** The outputs that come with Myelin. Each has its own encoders for data of sources. Pure. */
import type { builtInOutputs } from '../config/schema/outputs.ts';
import type { Endpoint } from '../model.ts';
import { address, escapeControls, place, plainName } from './encode.ts';
import type { ServiceView } from './target.ts';

export const builtIns = { hosts, 'nginx-upstream': nginxUpstream, json } as const satisfies Record<
  (typeof builtInOutputs)[number],
  (view: ServiceView) => string
>;

const head = '# Written by Myelin: what is changed here is overwritten.\n';

/** As hosts(5): each address of a service with its name. Draining endpoints are listed where there are no others. */
function hosts(view: ServiceView): string {
  const lines = inOrder(view).flatMap(([name, endpoints]) => {
    const ready = endpoints.filter(isReady);
    const addresses = new Set((ready.length > 0 ? ready : endpoints).map((endpoint) => address(endpoint.address)));
    return [...addresses].map((each) => `${each} ${plainName(name)}\n`);
  });
  return head + lines.join('');
}

/**
 * An `upstream` for each service. nginx refuses an upstream without servers: where there are no endpoints, or only
 * draining ones, it gets servers that are `down`, and answers 502.
 */
function nginxUpstream(view: ServiceView): string {
  const blocks = inOrder(view).map(([name, endpoints]) => {
    const servers = endpoints.map((endpoint) => {
      const { address: ip, port, weight } = endpoint;
      return `${place(ip, port)} ${isReady(endpoint) ? `weight=${weight}` : 'down'}`;
    });
    const lines = servers.length === 0 ? ['127.0.0.1:1 down'] : servers;
    return `\nupstream ${plainName(name)} {\n${lines.map((line) => `    server ${line};\n`).join('')}}\n`;
  });
  return head + blocks.join('');
}

/** All known data of each endpoint. */
function json(view: ServiceView): string {
  const services = inOrder(view).map(([name, endpoints]) => [name, endpoints.map(jsonOf)] as const);
  return escapeControls(`${JSON.stringify({ services: Object.fromEntries(services) }, null, 2)}\n`);
}

function jsonOf({ id, address: ip, port, weight, state, tags = [], meta = {}, origin = {} }: Endpoint): object {
  return { id, address: ip, port, weight, state, tags, meta, origin };
}

/** The same bytes whatever order the services came in. */
export function inOrder({ endpoints }: ServiceView): readonly (readonly [string, readonly Endpoint[]])[] {
  return [...endpoints].sort(([a], [b]) => (a < b ? -1 : 1));
}

function isReady({ state, weight }: Endpoint): boolean {
  return state === 'ready' && weight > 0;
}
