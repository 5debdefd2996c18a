/** Who has which route of the shared frontends. */
import { routesOf } from '../config/routes.ts';
import type { Config } from '../config/schema.ts';

/** `route`: as the service writes it; null: the frontend's `default`, which gets all else. */
export type RouteStatus = { readonly frontend: string; readonly route: string | null; readonly service: string };

/** `service` null: of all services. */
export function routeList(config: Config, service: string | null): readonly RouteStatus[] {
  const { routes } = routesOf(config);
  return Object.entries(config.frontends).flatMap(([frontend, one]) => {
    const held = (routes.get(frontend) ?? []).map(
      (each): RouteStatus => ({ frontend, route: each.route.label, service: each.service }),
    );
    const rest = 'default' in one && one.default !== undefined ? [{ frontend, route: null, service: one.default }] : [];
    return [...held, ...rest].filter((each) => service === null || each.service === service);
  });
}
