/** What is discovered by a source, and how it is served within the limits of `discover`: the same for every source. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDiscovered } from '../../src/config/discover/discovered.ts';
import type { DiscoverySubject } from '../../watchers/public/contract.ts';
import { listen } from '../../watchers/public/listen.ts';
import { until } from './index.ts';
import { load } from './values/config.ts';

type Kind = {
  /** The settings of a watcher of this source, as in a config. */
  readonly watcher: string;
  /** The keys of `discover` that choose which services are discovered. */
  readonly keys?: string;
  /** One that the source takes for an endpoint. */
  readonly address?: string;
};

export function servesWithinLimits(
  name: string,
  makeSubject: () => Promise<DiscoverySubject>,
  { watcher, keys = '', address = '127.0.0.1:9001' }: Kind,
): void {
  test(`${name}: a discovered service that chooses what is wrong or beyond the limits is left out, alone, until it is mended`, async () => {
    await using subject = await makeSubject();
    const { config } = await load(
      `watchers: { source: ${watcher} }\ndiscover: { source: { ${keys}ports: 10000-10009, maxServices: 3 } }\n`,
    );
    const [discovery] = config.discoveries;
    assert.ok(discovery);
    await using heard = listen((signal) => subject.watch([{ key: '*', settings: subject.query }], signal));
    const outcome = () => {
      const last = heard.said.findLast((update) => update.kind === 'discovered');
      const services = last?.kind === 'discovered' ? last.services : [];
      const { config: all, rejected } = withDiscovered(
        config,
        services.map((service) => ({ discovery, service })),
      );
      return {
        served: [...all.services.keys()].join(' '),
        rejected: Object.fromEntries(rejected.map(({ service, reason }) => [service, reason])),
      };
    };
    const named = (...services: readonly string[]): string => services.map(subject.nameOf).sort().join(' ');

    await subject.offer('web', { listen: '10000' }, [address]);
    await subject.offer('bad', { balance: 'no such' }, [address]);
    await subject.offer('odd', { balanec: 'first' }, [address]);
    await subject.offer('far', { listen: '80' }, [address]);
    await until('each has been judged', () => Object.keys(outcome().rejected).length === 3);
    assert.equal(outcome().served, named('web'));
    const { rejected } = outcome();
    assert.match(rejected[subject.nameOf('bad')] ?? '', /^balance: "no such" is not allowed/);
    assert.match(rejected[subject.nameOf('odd')] ?? '', /^balanec: unknown option; .*did you mean "balance"\?$/);
    assert.match(rejected[subject.nameOf('far')] ?? '', /^listen: 80 is not allowed; .*discover\.ports/);

    await subject.offer('bad', { balance: 'first' }, [address]);
    await subject.offer('far', { listen: '10001' }, [address]);
    await until('those that were mended are served', () => outcome().served === named('web', 'bad', 'far'));

    await subject.offer('more', {}, [address]);
    await until('there is no room for another one', () =>
      Object.values(outcome().rejected).some((reason) => /discover\.source\.maxServices/.test(reason)),
    );
    await subject.withdraw('web');
    await until('it is served when one has gone', () => outcome().served === named('bad', 'far', 'more'));
  });
}
