/** Configs, endpoints and the built-in templates for tests of what is rendered. */
import { sharedFrontends } from '../../../src/config/routes.ts';
import { type Config, type Service, config as schema } from '../../../src/config/schema.ts';
import { atLeast, parseVersion, type Version } from '../../../src/haproxy/binary/version.ts';
import type { Endpoint } from '../../../src/model.ts';
import { createRenderer, type Renderer, type RenderResult } from '../../../src/render/render.ts';
import type { Read } from '../../../src/routes/host.ts';
import { resolveRoute } from '../../../src/routes/resolve.ts';
import { readTemplates } from '../../../src/settings/templates.ts';

/** A config as `myelin.yaml` would give it, defaults filled in; `services` are written as there, without `from`. */
export function configOf(written: Record<string, unknown>): Config {
  const { services, include, discover, ...rest } = schema.parse({
    watchers: { file: { type: 'file', path: '/x' } },
    ...written,
  });
  const frontends = sharedFrontends(rest.frontends);
  const named = Object.entries(services).map(([name, { from, routes, ...service }]): [string, Service] => {
    const resolved = routes.map((route) => read(resolveRoute(route, { name, mode: service.mode }, frontends)));
    return [name, { ...service, name, origins: [], routes: resolved }];
  });
  return { ...rest, services: new Map(named), discoveries: [], sources: new Map() };
}

function read<T>(route: Read<T>): T {
  if (route.kind === 'wrong') throw new Error(route.reason);
  return route.value;
}

export function endpoint(id: string, rest: Partial<Endpoint> = {}): Endpoint {
  return { id, address: '10.0.0.1', port: 80, weight: 1, state: 'ready', ...rest };
}

export function version(text: string): Version {
  const parsed = parseVersion(text);
  if (parsed === null || !atLeast(parsed, 2, 0)) throw new Error(`not a version: ${text}`);
  return parsed;
}

/** A renderer of the built-in templates, with some of them replaced. */
export async function rendererWith(replaced: Readonly<Record<string, string>> = {}): Promise<Renderer> {
  const { sources } = await readTemplates(undefined);
  const own = Object.entries(replaced).map(([name, text]) => [name, { file: `/templates/${name}.hbs`, text }] as const);
  return createRenderer(new Map([...sources, ...own]));
}

/** The same list every time: what is not the same object is rendered again. */
const none: readonly Endpoint[] = [];

/** Renders with what a test does not care about filled in. */
export function render(
  renderer: Renderer,
  config: Config,
  endpoints: Readonly<Record<string, readonly Endpoint[]>> = {},
  on = '2.6.12',
): RenderResult {
  return renderer.render({
    config,
    endpoints: new Map([...config.services.keys()].map((name) => [name, endpoints[name] ?? none])),
    version: version(on),
    hostname: 'here',
  });
}
