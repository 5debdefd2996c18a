/** `frontends`: frontends that services share, and the routes by which services are reached over them. */
import { z } from 'zod';
import { filePath, oneOrMany, port, text } from '../../../watchers/kit/values.ts';
import type { Read } from '../../routes/host.ts';
import type { WrittenRoute } from '../../routes/route.ts';
import { readParts, readRoute } from '../../routes/written.ts';
import { bindLine, lines } from '../values.ts';

export const frontend = z
  .strictObject({
    mode: z
      .enum(['http', 'tcp'])
      .default('http')
      .describe('http: routes by host and path; tcp: by the name in the TLS hello, or by port.'),
    bind: oneOrMany(bindLine).describe(
      'Where it listens, in HAProxy’s bind syntax with its options; with a range of ports, such as 10000-10999, a pool.',
    ),
    by: z
      .enum(['sni', 'port'])
      .optional()
      .describe('mode: tcp. What leads to a service. Default: port where `bind` has a range of ports, else sni.'),
    redirect: z
      .enum(['https'])
      .optional()
      .describe('mode: http. What does not come over TLS is sent (308) to the same address with https, on port 443.'),
    certificates: filePath
      .optional()
      .describe(
        'A folder of certificates (PEM) for what `bind` has `ssl` and no `crt`: NAME.pem, NAME.crt with NAME.key, or NAME/tls.crt with NAME/tls.key. It is watched.',
      ),
    defaultCertificate: text
      .optional()
      .describe(
        'The name of the one for clients whose server name fits none. Default: `default`, where there is one, else the first by name.',
      ),
    clientCertificates: z
      .strictObject({
        caFile: filePath.describe('CA certificates (PEM) that theirs have to be issued by: a file, which is watched.'),
        verify: z
          .enum(['required', 'optional'])
          .default('required')
          .describe('required: who shows none is refused; optional: only who shows a wrong one.'),
      })
      .optional()
      .describe('For each `bind` with `ssl` and no `ca-file` or `verify` of its own: clients show certificates.'),
    default: text
      .optional()
      .describe('The service that gets what no route leads elsewhere. Default: none; with http 404.'),
    lines: lines.default([]).describe('Further lines of it, as they are, before those that look for a route.'),
  })
  .describe('A frontend that many services share, each by its routes.');

export type ParsedFrontend = z.output<typeof frontend>;

const taken = (route: Read<WrittenRoute>, context: z.RefinementCtx): WrittenRoute => {
  if (route.kind === 'read') return route.value;
  context.addIssue({ code: 'custom', message: route.reason });
  return z.NEVER;
};

const routeObject = z
  .strictObject({
    frontend: text.optional().describe('The shared frontend. Default: the only one that has such routes.'),
    host: z
      .string()
      .optional()
      .describe('The host, or `*.` and a name for each host one label below it. Default: any.'),
    path: z.string().optional().describe('The path and all below it. Default: /.'),
    sni: z.string().optional().describe('The name in the TLS hello, as `host`.'),
    port: port.optional().describe('A port of a pool.'),
    strip: z.boolean().optional().describe('true: the service sees the request without `path`.'),
    to: z.string().optional().describe('The service sees this path in the place of `path`.'),
  })
  .transform((parts, context) => taken(readParts(parts), context));

const routeText = z.string().transform((written, context) => taken(readRoute(written), context));

export const routes = oneOrMany(z.union([routeText, routeObject]).meta({ title: 'route' }));
