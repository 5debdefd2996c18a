/** All services: HAProxy's view beside that of the sources. */
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ServiceHealth } from '../../../report/status.ts';
import { serviceLink } from '../hooks.ts';
import { filtered, haproxySays, type ServiceRow, sourcesSay } from '../model/services.ts';
import { number } from '../model/words.ts';
import { Empty, Icon, Section } from './bits.tsx';
import { VirtualList } from './virtual-list.tsx';

type Props = { readonly rows: readonly ServiceRow[]; readonly selected: string | null };

/** As in the style sheet. */
const narrow = matchMedia('(max-width: 760px)');
const heights = { wide: 40, narrow: 60 };

const states = [
  'down',
  'partly down',
  'quarantined',
  'empty',
  'stale',
  'retained',
  'refused',
  'waiting',
  'no endpoint',
] as const;

export function Services({ rows, selected }: Props): JSX.Element {
  const [query, setQuery] = useState('');
  const [isNarrow, setNarrow] = useState(narrow.matches);
  const input = useRef<HTMLInputElement>(null);
  const shown = useMemo(() => filtered(rows, query), [rows, query]);
  const counts = useMemo(() => Map.groupBy(rows, ({ state }) => state), [rows]);

  useEffect(() => {
    const changed = (): void => setNarrow(narrow.matches);
    narrow.addEventListener('change', changed);
    return () => narrow.removeEventListener('change', changed);
  }, []);
  useEffect(() => {
    const typed = (event: KeyboardEvent): void => {
      const isText = event.target instanceof HTMLInputElement;
      if (event.key !== '/' || isText || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    addEventListener('keydown', typed);
    return () => removeEventListener('keydown', typed);
  }, []);

  const inFilter = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') {
      setQuery('');
      input.current?.blur();
    } else if (event.key === 'ArrowDown' || event.key === 'Enter') {
      document.querySelector<HTMLElement>('#services .row a')?.focus();
      event.preventDefault();
    }
  };

  return (
    <Section
      id="services"
      title="Services"
      aside={
        <span class="number" aria-live="polite">
          {shown.length === rows.length ? number(rows.length) : `${number(shown.length)} of ${number(rows.length)}`}
        </span>
      }
    >
      <div class="filter">
        <label>
          <span class="visually-hidden">Filter services by name or state</span>
          <input
            ref={input}
            type="search"
            placeholder="Filter by name or state"
            value={query}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setQuery(event.currentTarget.value)}
            onKeyDown={inFilter}
          />
          <kbd aria-hidden="true">/</kbd>
        </label>
        <fieldset class="states">
          <legend class="visually-hidden">Show one state alone</legend>
          {states.flatMap((state) => {
            const count = counts.get(state)?.length ?? 0;
            const isOn = query === state;
            return count === 0
              ? []
              : [
                  <button key={state} type="button" aria-pressed={isOn} onClick={() => setQuery(isOn ? '' : state)}>
                    {state} <span class="number">{number(count)}</span>
                  </button>,
                ];
          })}
        </fieldset>
      </div>
      {rows.length === 0 ? (
        <Empty>No service is known yet.</Empty>
      ) : shown.length === 0 ? (
        <Empty>No service fits “{query}”.</Empty>
      ) : (
        <VirtualList
          label="Services"
          items={shown}
          rowHeight={isNarrow ? heights.narrow : heights.wide}
          keyOf={({ name }) => name}
          header={header}
          row={(row) => <Row row={row} isSelected={row.name === selected} />}
        />
      )}
    </Section>
  );
}

const header = (
  <div role="row" class="row" aria-rowindex={1}>
    <span role="columnheader" class="name">
      service
    </span>
    <span role="columnheader" class="state">
      state
    </span>
    <span role="columnheader" class="haproxy">
      HAProxy says
    </span>
    <span role="columnheader" class="source">
      the sources say
    </span>
    <span role="columnheader" class="sessions">
      sessions
    </span>
    <span role="columnheader" class="rate">
      per second
    </span>
  </div>
);

function Row({ row, isSelected }: { readonly row: ServiceRow; readonly isSelected: boolean }): JSX.Element {
  const { service, name, tone, state } = row;
  const { health } = service;
  return (
    <>
      <span role="cell" class="name">
        <a href={serviceLink(name)} aria-current={isSelected ? 'true' : undefined}>
          {name}
        </a>
      </span>
      <span role="cell" class={`state ${tone}`}>
        <Icon tone={tone} />
        {state}
      </span>
      <span role="cell" class="haproxy">
        {health !== null && <Pips {...health.servers} />}
        {haproxySays(service)}
        {health !== null && health.queued > 0 && <em>, {number(health.queued)} waiting</em>}
      </span>
      <span role="cell" class="source">
        {sourcesSay(service)}
      </span>
      <span role="cell" class="sessions number">
        {health === null ? '–' : number(health.sessions)}
      </span>
      <span role="cell" class="rate number">
        {health === null ? '–' : number(health.sessionsPerSec)}
      </span>
    </>
  );
}

const mostPips = 8;

/** A mark for each server; of many, their shares. */
function Pips({ up, draining, maint, down }: ServiceHealth['servers']): JSX.Element | null {
  const out = draining + maint;
  const all = up + out + down;
  if (all === 0) return null;
  const scale = Math.min(1, mostPips / all);
  // None that is down disappears among those that are up.
  const share = (count: number): number => (count === 0 ? 0 : Math.max(1, Math.round(count * scale)));
  const [downs, outs] = [share(down), share(out)];
  const ups = Math.max(up === 0 ? 0 : 1, Math.min(all, mostPips) - downs - outs);
  const pips = [...Array(ups).fill('up'), ...Array(outs).fill('out'), ...Array(downs).fill('down')] as string[];
  return (
    <svg class="pips" viewBox="0 0 64 12" aria-hidden="true">
      {pips.slice(0, mostPips).map((kind, at) => (
        <rect
          key={at}
          class={kind}
          x={at * 8}
          y={kind === 'down' ? 5 : 1}
          width="6"
          height={kind === 'down' ? 6 : 10}
          rx="1.500"
        />
      ))}
    </svg>
  );
}
