/** `services`: what is served, and how HAProxy checks, reaches and times it. */
import { z } from 'zod';
import { filePath, oneOrMany, port, someTime, word } from '../../../watchers/kit/values.ts';
import { bindLine, lines, rawLine, urlPath } from '../values.ts';
import { routes } from './frontend.ts';

const check = z
  .strictObject({
    type: z
      .enum(['tcp', 'http', 'none'])
      .default('tcp')
      .describe('tcp: the port accepts; http: a request is answered well; none: the source alone is believed.'),
    path: urlPath.default('/').describe('What an http check asks for.'),
    method: z.enum(['GET', 'HEAD', 'OPTIONS']).default('GET').describe('How an http check asks.'),
    host: word.optional().describe('Host header of an http check. Default: none.'),
    status: z
      .string()
      .regex(/^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$/, 'expected statuses such as 200, 200-399 or 200,204')
      .default('200-399')
      .describe('Statuses that are good answers to an http check.'),
    interval: someTime
      .optional()
      .describe('From one check to the next. Default: `inter` of a `default-server` in `haproxy.defaults`, else `2s`.'),
    timeout: someTime.optional().describe('How long a check may take once connected. Default: `interval`.'),
    rise: z.number().int().min(1).optional().describe('Good checks until a server is up. Default: likewise, else `2`.'),
    fall: z
      .number()
      .int()
      .min(1)
      .optional()
      .describe('Bad checks until a server is down. Default: likewise, else `3`.'),
    port: port.optional().describe('Port to check, where it is not the endpoint’s.'),
  })
  .describe('HAProxy’s own health check of each server.');

const server = z
  .strictObject({
    maxconn: z.number().int().min(1).optional().describe('Connections to one server at once; further ones queue.'),
    slowstart: someTime.optional().describe('A server that came up gets its full weight only after this time.'),
    proxyProtocol: z.enum(['v1', 'v2']).optional().describe('Send the PROXY protocol to the servers.'),
    tls: z
      .strictObject({
        verify: z.boolean().default(true).describe('Whether the certificates of the servers are verified.'),
        caFile: filePath
          .optional()
          .describe(
            'CA certificates (PEM) for that: a file, which is watched. Default: `@system-ca`, those of the system (HAProxy 2.6 and later).',
          ),
        sni: word.optional().describe('Server name that is sent, and expected in the certificate.'),
      })
      .optional()
      .describe('Speak TLS to the servers.'),
    options: rawLine.optional().describe('Any further options of HAProxy’s `default-server` line.'),
  })
  .describe('Options of every server of the service.');

const timeouts = z
  .strictObject({
    connect: someTime.optional().describe('Until a server has accepted the connection.'),
    client: someTime.optional().describe('Inactivity of the client.'),
    server: someTime.optional().describe('Inactivity of the server: how long an answer may take.'),
    queue: someTime.optional().describe('How long a request waits for a free server (`server.maxconn`).'),
    tunnel: someTime.optional().describe('Inactivity of WebSockets and other upgraded connections.'),
    httpRequest: someTime.optional().describe('Until the headers of a request are complete.'),
    httpKeepAlive: someTime.optional().describe('How long a connection without a request stays open.'),
    check: someTime.optional().describe('HAProxy’s `timeout check`; `check.timeout` is the same and goes first.'),
  })
  .describe('HAProxy’s timeouts for this service. Default: those of the defaults section.');

export const service = z
  .strictObject({
    from: oneOrMany(z.record(z.string(), z.unknown()))
      .optional()
      .describe('Watcher name and its query; several are joined. Default: the only watcher, the service of this name.'),
    bind: oneOrMany(bindLine)
      .optional()
      .describe(
        'Where the frontend listens, in HAProxy’s bind syntax with its options. Without it there is only a backend. ' +
          'Another form of the same address, such as `*:80` for `127.0.0.1:80`, costs the frontend some milliseconds in which it refuses connections.',
      ),
    routes: routes
      .prefault([])
      .describe(
        'What of the shared `frontends` leads to it: `HOST`, `HOST/PATH`, `/PATH` or `:PORT`, then perhaps `strip`, `to=/PATH` and `frontend=NAME`; or the same as keys.',
      ),
    mode: z.enum(['http', 'tcp']).default('http').describe('Whether HAProxy understands the traffic as HTTP.'),
    balance: rawLine
      .optional()
      .describe(
        'HAProxy’s balance algorithm with its arguments. Default: that of `haproxy.defaults`, else `roundrobin`.',
      ),
    check: check.prefault({}),
    server: server.prefault({}),
    timeouts: timeouts.prefault({}),
    frontend: lines.default([]).describe('Further lines of the frontend, as they are.'),
    backend: lines.default([]).describe('Further lines of the backend, as they are.'),
    values: z
      .record(
        z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected a name of letters, digits and _'),
        z.union([rawLine, z.number(), z.boolean()], { error: 'expected a text, a number, true or false' }),
      )
      .default({})
      .describe('Values of your own for your templates, by name: `{{values.host}}`.'),
    onEmpty: z
      .enum(['doubt', 'keep', 'accept'])
      .default('doubt')
      .describe(
        'When the last endpoint goes: accept serves 503, and finds nothing wrong with a service without any; keep holds the last ones; doubt holds them for `keepFor` if it ' +
          'happened within a minute of Myelin’s start or of a restart or reconnection of the source, or by an edit of the config, else it accepts.',
      ),
    keepFor: someTime.prefault('10m').describe('How long doubted endpoints are kept.'),
  })
  .describe('A backend, and a frontend where `bind` is given.');

export type ParsedService = z.output<typeof service>;
