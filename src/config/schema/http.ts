/** `admin` and `probes`: where the running Myelin takes requests. */
import { z } from 'zod';
import { filePath } from '../../../watchers/kit/values.ts';
import { hostName, listen, listenOrOff } from '../values.ts';

export const admin = z
  .strictObject({
    listen: listen
      .optional()
      .describe('HOST:PORT of the admin API, which asks nobody for a password. Default: only the socket.'),
    allowRemote: z
      .boolean()
      .default(false)
      .describe('true: `listen` may be an address that others reach, who then read status and config.'),
    hosts: z
      .array(hostName)
      .default([])
      .describe('Further names that people reach `listen` by, as in a browser: requests by any other are refused.'),
    socket: filePath.default('./run/myelin.sock').describe('Control socket of the command line; mode 0600.'),
  })
  .prefault({})
  .describe('How commands reach the running Myelin.');

export const probes = z
  .strictObject({
    listen: listenOrOff
      .default('127.0.0.1:8406')
      .describe('HOST:PORT of /healthz, /readyz and /metrics (in a pod `*:8406`), or off.'),
  })
  .prefault({})
  .describe('What orchestrators and Prometheus ask.');
