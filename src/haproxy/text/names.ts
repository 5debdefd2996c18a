/**
 * The names of the proxies that Myelin writes. A backend bears its service's name. Its frontend needs another one:
 * HAProxy warns of a frontend and a backend of the same name in 3.2 and refuses them from 3.3 on.
 */

export const statsProxy = 'myelin_stats';
export const prometheusProxy = 'myelin_prometheus';

/** `web` → `web:in`. The colon keeps it apart from names that registries allow: neither DNS labels nor Consul's have one. */
export const frontendName = (service: string): string => `${service}:in`;
