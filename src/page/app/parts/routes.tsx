/** The shared frontends: who has which route, and which claims are left out. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { RouteStatus } from '../../../report/routes.ts';
import type { Status } from '../../../report/status.ts';
import { serviceLink, useAnswer } from '../hooks.ts';
import { count, number } from '../model/words.ts';
import { Empty, Icon, Section } from './bits.tsx';

const mostShown = 100;

export function Routes({ status }: { readonly status: Status }): JSX.Element {
  const { frontends, routesLeftOut } = status;
  const [query, setQuery] = useState('');
  const all = frontends.reduce((sum, { routes }) => sum + routes, 0);
  const { value, trouble } = useAnswer<readonly RouteStatus[]>(
    frontends.length === 0 ? null : 'api/v1/routes',
    JSON.stringify([frontends, status.services.length, status.lastReload?.at]),
  );
  const wanted = query.toLowerCase();
  const fitting = (value ?? []).filter(({ frontend, route, service }) =>
    `${frontend} ${route ?? 'all else'} ${service}`.toLowerCase().includes(wanted),
  );
  return (
    <Section id="routes" title="Routes" aside={<span class="number">{number(all)}</span>}>
      {frontends.length === 0 && <Empty>No frontend is shared: each service has its own address.</Empty>}
      {routesLeftOut.length > 0 && (
        <ul class="conflicts">
          {routesLeftOut.slice(0, 20).map(({ service, frontend, route, holder }) => (
            <li key={`${frontend} ${route} ${service}`}>
              <Icon tone="warn" />
              <span>
                <code>{route}</code> of {frontend}: <a href={serviceLink(service)}>{service}</a> wants it,{' '}
                <a href={serviceLink(holder)}>{holder}</a> has it
              </span>
            </li>
          ))}
        </ul>
      )}
      {frontends.length > 0 && value === null && <Empty>{trouble ?? 'Asking…'}</Empty>}
      {value !== null && value.length > 12 && (
        <div class="filter">
          <label>
            <span class="visually-hidden">Filter routes by host, path or service</span>
            <input
              type="search"
              placeholder="Filter by host, path or service"
              value={query}
              autocomplete="off"
              spellcheck={false}
              onInput={(event) => setQuery(event.currentTarget.value)}
            />
          </label>
        </div>
      )}
      {fitting.length > 0 && (
        <table class="routes">
          <thead>
            <tr>
              <th>route</th>
              <th>service</th>
              <th>frontend</th>
            </tr>
          </thead>
          <tbody>
            {fitting.slice(0, mostShown).map(({ frontend, route, service }) => (
              <tr key={`${frontend} ${route} ${service}`}>
                <td>{route === null ? <em>all else</em> : <code>{route}</code>}</td>
                <td>
                  <a href={serviceLink(service)}>{service}</a>
                </td>
                <td>{frontend}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {value !== null && value.length > 0 && fitting.length === 0 && <Empty>No route fits “{query}”.</Empty>}
      {fitting.length > mostShown && (
        <Empty>{count(fitting.length - mostShown, 'more', 'more')}: filter to see them.</Empty>
      )}
    </Section>
  );
}
