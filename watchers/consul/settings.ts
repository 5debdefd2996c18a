/** The settings of a Consul watcher, and of a query to it. */
import { z } from 'zod';
import { AppError } from '../../src/errors.ts';
import type { CheckContext, CommonSettings } from '../kit/source.ts';
import { filePath, someTime, text, word } from '../kit/values.ts';

const tls = z
  .strictObject({
    caFile: filePath
      .optional()
      .describe('CA certificates (PEM) that the agent is verified with. Default: the system’s.'),
    certFile: filePath.optional().describe('Client certificate (PEM); needs `keyFile`.'),
    keyFile: filePath.optional().describe('Key of the client certificate (PEM).'),
    serverName: word
      .optional()
      .describe('Name expected in the agent’s certificate, where it is not the host of the address.'),
    verify: z
      .boolean()
      .optional()
      .describe('false accepts any certificate: for tests only. Default: CONSUL_HTTP_SSL_VERIFY, else true.'),
  })
  .describe('TLS towards an https:// address.');

export const consulSettings = z
  .strictObject({
    address: word
      .regex(/^(https?|unix):\/\/.+|^[^/]+:\d+$/, 'expected http://HOST:PORT, https://HOST:PORT or unix:///PATH')
      .optional()
      .describe('The agent: http://, https:// or unix://. Default: CONSUL_HTTP_ADDR, else http://127.0.0.1:8500.'),
    token: z
      .string()
      .optional()
      .meta({ secret: true })
      .describe('ACL token, better given as `${ENV}` or `${file:PATH}`. Default: CONSUL_HTTP_TOKEN.'),
    tokenFile: filePath
      .optional()
      .describe('File with the ACL token, read again when it changes. Default: CONSUL_HTTP_TOKEN_FILE.'),
    datacenter: word.optional().describe('Datacenter asked where a query names none. Default: the agent’s.'),
    wait: someTime
      .refine((ms) => ms <= 600_000, 'expected at most 10m (Consul waits no longer)')
      .prefault('2m')
      .describe(
        'How long a blocking query waits at the agent; 10m at most. Less than what a proxy before it grants an idle request.',
      ),
    maxConnections: z
      .number()
      .int()
      .min(1)
      .max(10_000)
      .default(100)
      .describe('Connections to the agent at most (by default it allows 200 from one address).'),
    hostNames: z
      .enum(['refuse', 'resolve'])
      .default('refuse')
      .describe('Instances whose address is a host name, as of external services: refused or resolved.'),
    tls: tls.prefault({}),
  })
  .describe('Services of a Consul agent.');

/** The default is that of consul-template and fabio, so that who comes from there serves the same instances. */
const warning = z
  .enum(['use', 'ignore'])
  .describe(
    'Whether instances with a warning check get traffic. ignore: none, as with consul-template and fabio; use: by the weight that Consul has for it, as with Consul’s DNS.',
  );

export const consulQuery = z
  .strictObject({
    service: text.optional().describe('Name in Consul. Default: the name of the service here.'),
    tags: z.array(text).default([]).describe('Only instances that carry all of these tags.'),
    filter: text.optional().describe('Consul’s filter expression, such as `Service.Meta.version == "2"`.'),
    datacenter: word.optional().describe('Ask this datacenter. Default: the watcher’s.'),
    near: word
      .optional()
      .describe('Without effect, and taken for the sake of older configs: who is chosen is for `balance` to say.'),
    stale: z
      .boolean()
      .default(true)
      .describe(
        'Let any Consul server answer, not the leader alone: faster. What a server says that has lost its leader counts once the leader has said so too.',
      ),
    warning: warning.default('ignore'),
  })
  .describe('One service of a Consul watcher.');

/** Which services are found that nobody listed. */
export const consulDiscovery = z.strictObject({
  tag: text.optional().describe('Services are served by their instances that carry this tag.'),
  meta: z
    .record(
      z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, 'expected a key of meta: letters, digits, - and _'),
      z.string().regex(/^[^\x00-\x1f\x7f]{0,512}$/, 'expected a value of meta, on one line'),
    )
    .default({})
    .describe('The same by meta: those with all of these keys and values. With `tag`, both count.'),
  routes: z
    .enum(['fabio'])
    .optional()
    .describe(
      'fabio: its tags, `urlprefix-HOST/PATH`, are routes as well. Without `tag` and `meta`, services are served by their instances that carry such a tag.',
    ),
  warning: warning.optional().describe('As in a query. Default: ignore.'),
});

export type ConsulSettings = z.output<typeof consulSettings> & CommonSettings;
export type ConsulQuery = z.output<typeof consulQuery>;
/** A query for all services with this tag and meta, or else with a tag of fabio. */
export type ConsulDiscovery = z.output<typeof consulDiscovery>;

export function consulDiscoveries(
  { maxConnections }: ConsulSettings,
  { tag, meta, routes, warning }: ConsulDiscovery,
): readonly { readonly key: string; readonly query: ConsulDiscovery }[] {
  if (tag === undefined && Object.keys(meta).length === 0 && routes === undefined)
    throw new AppError('MYELIN_CONFIG_INVALID', 'names neither a tag nor meta, which would be every service: give one');
  if ([tag ?? '', ...Object.values(meta)].some((value) => value.includes('`')))
    throw new AppError('MYELIN_CONFIG_INVALID', 'names a text with a backquote, which no filter of Consul can hold');
  if (maxConnections < 2)
    throw new AppError(
      'MYELIN_CONFIG_INVALID',
      'needs a connection for itself: give the watcher `maxConnections: 2` or more',
    );
  const query = {
    ...(tag !== undefined && { tag }),
    meta,
    ...(routes !== undefined && { routes }),
    ...(warning !== undefined && { warning }),
  };
  return [{ key: '', query }];
}

/** Checks that concern several keys. */
export function checkConsul({ address, tls, token, tokenFile }: ConsulSettings, { env, report }: CheckContext): void {
  const { certFile, keyFile } = tls;
  if (certFile !== undefined && keyFile === undefined)
    report(['tls', 'certFile'], 'a certificate needs its key: give keyFile as well');
  if (keyFile !== undefined && certFile === undefined)
    report(['tls', 'keyFile'], 'a key needs its certificate: give certFile as well');
  for (const variable of ['CONSUL_NAMESPACE', 'CONSUL_PARTITION'])
    if (!['', 'default', undefined].includes(env[variable]))
      report(
        [],
        `${variable} is set, and Myelin knows the default one only, whose services of the same names would be served: unset it`,
      );
  if (Object.keys(tls).length > 0 && usesPlainHttp(address, env))
    report(
      ['tls'],
      'is for an agent at https://, and this one would be asked in clear, its token with it: write https://HOST:PORT as address',
    );
  if (token !== undefined && tokenFile !== undefined)
    report(['tokenFile'], 'there is a token already: give either token or tokenFile');
}

/** Decides as `connectionOf` does. Plain HTTP is fine for the default address, which is on this machine. */
function usesPlainHttp(ours: string | undefined, env: NodeJS.ProcessEnv): boolean {
  const address = ours ?? env.CONSUL_HTTP_ADDR ?? '';
  const [, scheme] = /^([a-z]+):\/\//.exec(address) ?? [];
  if (address === '' || scheme === 'https') return false;
  const mayBeRaised = scheme !== 'unix' && (ours === undefined || scheme === undefined);
  return !(mayBeRaised && /^(1|t|true)$/i.test(env.CONSUL_HTTP_SSL ?? ''));
}
