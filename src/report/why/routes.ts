/** How clients reach a service: its binds, its routes, and the certificates that they are shown. Pure. */
import { lost, note, step, type TlsHost, type WhyFacts, type WhyStep } from './step.ts';

export function ofRoutes({ ways, tls, status, service }: WhyFacts): readonly WhyStep[] {
  const left = status.routesLeftOut
    .filter((one) => one.service === service)
    .map(({ route, frontend, holder }) =>
      note('route', { text: `its route ${route} of ${frontend} is left out: ${holder} has it` }),
    );
  const reached =
    ways.length > 0
      ? note('route', { text: `clients reach it at ${ways.join(', ')}` })
      : lost('route', { text: 'nothing leads to it', remedy: 'give it a `bind`, or `routes` of a shared frontend' });
  // Where one host of several has no certificate the others serve.
  const isLost = tls.length > 0 && tls.length >= ways.length && tls.every(isRefusedByClients);
  return [...left, reached, ...tls.flatMap((host) => ofCertificate(host, isLost, status))];
}

function isRefusedByClients({ certificate, isOnlyTls }: TlsHost): boolean {
  return isOnlyTls && certificate === 'none';
}

function ofCertificate(
  { frontend, host, certificate, folder }: TlsHost,
  isLost: boolean,
  { certificates }: WhyFacts['status'],
): readonly WhyStep[] {
  if (certificate === 'named') return [];
  if (certificate === 'generated')
    return [
      note('route', {
        text: `${frontend} shows clients of ${host} a certificate that Myelin made, which they do not trust: ${folder} has none`,
        remedy: `put one for ${host} into ${folder}`,
      }),
    ];
  const leftOut = certificates
    .filter((one) => one.frontend === frontend && one.problem !== null)
    .map(({ name, problem }) => `${name} is left out: ${problem}`);
  const text = `no certificate of ${frontend} is for ${host}: clients are shown another one, and those that verify it refuse`;
  return [
    step(isLost, 'route', {
      text: [text, ...leftOut].join('\n'),
      remedy: `put one for ${host} into ${folder}${leftOut.length === 0 ? '' : ', or correct the one that is left out'}`,
    }),
  ];
}
