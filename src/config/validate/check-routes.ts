/** Resolves the routes of listed services to lines of the shared frontends, and finds routes that conflict. */

import { asksNoClients, lacksCertificates } from '../../haproxy/text/bind.ts';
import { didYouMean } from '../../lib/did-you-mean.ts';
import { resolveRoute } from '../../routes/resolve.ts';
import type { Route } from '../../routes/route.ts';
import { mapFile } from '../paths.ts';
import type { Path } from '../problems.ts';
import { sharedFrontends } from '../routes.ts';
import type { ParsedService } from '../schema/service.ts';
import type { Judge } from './judge.ts';
import type { Parts } from './parts.ts';

/** The routes of one service; invalid ones are reported and left out. */
export function resolveRoutes(
  name: string,
  { mode, routes }: ParsedService,
  { rest: { frontends = {} } }: Pick<Parts, 'rest'>,
  judge: Judge,
): readonly Route[] {
  return routes.flatMap((written, index) => {
    const route = resolveRoute(written, { name, mode }, sharedFrontends(frontends));
    if (route.kind === 'read') return [route.value];
    // The route may belong to a frontend that is not valid itself.
    if (!judge.isRefused(['frontends'])) judge.report(pathOf(name, index, judge), route.reason);
    return [];
  });
}

/** Of two routes that claim the same, the later one is reported. */
export function checkRoutes({ services, rest: { frontends = {}, haproxy } }: Parts, judge: Judge): void {
  const taken = new Map<string, Path>();
  for (const [name, service] of services)
    for (const [index, written] of service.routes.entries()) {
      const route = resolveRoute(written, { name, mode: service.mode }, sharedFrontends(frontends));
      if (route.kind === 'wrong') continue;
      const { frontend, key } = route.value;
      const claim = `${frontend} ${key}`;
      const path = pathOf(name, index, judge);
      const holder = taken.get(claim);
      if (holder === undefined) taken.set(claim, path);
      else
        judge.report(
          path,
          `frontend ${frontend} leads this to ${judge.describe(holder)} already: take one of them away`,
        );
    }
  for (const [name, frontend] of Object.entries(frontends)) {
    const {
      mode,
      redirect,
      by,
      bind,
      certificates,
      defaultCertificate,
      clientCertificates,
      default: target,
    } = frontend;
    const report = (key: string, message: string): void => judge.report(['frontends', name, key], message);
    if (certificates !== undefined && !bind.some(lacksCertificates))
      report('certificates', 'has no effect: no `bind` of this frontend has `ssl` without a `crt` of its own');
    if (clientCertificates !== undefined && !bind.some(asksNoClients))
      report(
        'clientCertificates',
        'has no effect: no `bind` of this frontend has `ssl` without a `ca-file` or `verify` of its own',
      );
    if (clientCertificates?.caFile.startsWith('@'))
      judge.report(
        ['frontends', name, 'clientCertificates', 'caFile'],
        'expected a file with CA certificates: those of the system have issued certificates to everybody',
      );
    if (defaultCertificate !== undefined && certificates === undefined)
      report('defaultCertificate', 'needs `certificates`: it is the name of one of those');
    if (bind.length === 0) report('bind', 'is an empty list; expected where it listens, such as "*:80"');
    if (redirect !== undefined && mode !== 'http')
      report('redirect', 'needs `mode: http`: nothing else can be redirected');
    if (by !== undefined && mode !== 'tcp')
      report('by', 'needs `mode: tcp`: with http the host and the path lead to a service');
    const service = target === undefined ? undefined : services.get(target);
    if (target !== undefined && service === undefined && !judge.isRefused(['services', target]))
      report(
        'default',
        `there is no service ${JSON.stringify(target)} in this config${didYouMean(target, [...services.keys()])}`,
      );
    if (service !== undefined && service.mode !== mode)
      report('default', `the service ${target} is of mode ${service.mode}, and this frontend of mode ${mode}`);
  }
  const [first] = Object.keys(frontends);
  if (first !== undefined && haproxy !== undefined && !/^[\w.:/@+=~!-]+$/.test(mapFile({ haproxy }, first)))
    judge.report(
      ['haproxy', 'config'],
      `${haproxy.config} cannot be the config of shared frontends: HAProxy takes no blanks, quotes and the like in the paths of maps, which stand beside it. Choose another folder, such as /run/myelin`,
    );
}

function pathOf(service: string, index: number, judge: Judge): Path {
  return judge.pathOfItem(['services', service, 'routes'], index);
}
