/** `discover`: services that nobody listed, and the limits of what they may choose. */
import { z } from 'zod';
import { serviceOptions } from '../../../watchers/kit/service-options.ts';
import type { Source } from '../../../watchers/kit/source.ts';
import { hostPattern, portRange, proxyName } from '../values.ts';
import { service } from './service.ts';

/** No two services, discovered or listed, may claim the same. */
const limits = z.strictObject({
  bindAddress: z
    .union([z.ipv4(), z.ipv6(), z.literal('*')])
    .meta({ title: 'address', expected: 'an IPv4 or IPv6 address of this machine, or * for all' })
    .default('127.0.0.1')
    .describe('Where their frontends listen: an address of this machine, or `*`.'),
  ports: portRange
    .optional()
    .describe(
      'Ports that they may choose, such as 10000-19999: by the option `listen`, or as routes of a pool. Default: none.',
    ),
  hosts: z
    .array(hostPattern)
    .default([])
    .describe(
      'Hosts that they may choose as routes: `shop.example.com`, `*.apps.example.com` for each one label below, or `*` for any, and routes for any host. Default: none.',
    ),
  frontends: z
    .array(proxyName)
    .optional()
    .meta({ title: 'list of names' })
    .describe('The shared frontends that their routes may use. Default: all.'),
  maxServices: z
    .number()
    .int()
    .min(1)
    .default(10_000)
    .describe('So many are served, the older ones first; further ones are left out.'),
  maxPerNamespace: z
    .number()
    .int()
    .min(1)
    .default(1000)
    .describe(
      'So many of one namespace, and so many of `ports`: who may write Services in one takes them from no other.',
    ),
  options: z
    .array(z.enum(serviceOptions))
    .meta({ title: 'list of options' })
    .optional()
    .describe(
      'What they may choose. Default: every option that there is, but for `mode` where `service` has lines for HAProxy, as some count in one mode only.',
    ),
  service: service
    .omit({ from: true, bind: true, routes: true })
    .prefault({})
    .describe('What they do not choose: the keys of a service, but for `from`, `bind` and `routes`.'),
});

/** The value of `discover` for a watcher of this source: which services are found, and their limits. */
export function discoveryOf({ type, discovery }: Source): z.ZodType<Limits> {
  return z
    .strictObject({ ...discovery?.keys.shape, ...limits.shape })
    .describe(`Services that nobody listed, from a watcher of type ${type}.`);
}

export type Limits = z.output<typeof limits>;
