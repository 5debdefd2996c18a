/** The certificates of the shared frontends, and the CA files: those that end first stand first. */
import type { JSX } from 'preact';
import type { Timestamp } from '../../../model.ts';
import type { Status } from '../../../report/status.ts';
import { dateOf } from '../model/time.ts';
import { count, number, type Tone } from '../model/words.ts';
import { Empty, Icon, Section } from './bits.tsx';

type Row = {
  readonly key: string;
  readonly what: string;
  readonly where: string;
  readonly names: string;
  readonly notAfter: Timestamp | null;
  readonly problem: string | null;
};

const dayMs = 86_400_000;
const mostShown = 100;

export function Certificates({ status, now }: { readonly status: Status; readonly now: Timestamp }): JSX.Element {
  const rows = rowsOf(status);
  return (
    <Section id="certificates" title="Certificates" aside={<span class="number">{number(rows.length)}</span>}>
      {rows.length === 0 ? (
        <Empty>No shared frontend speaks TLS.</Empty>
      ) : (
        <table class="certificates">
          <thead>
            <tr>
              <th>ends</th>
              <th>certificate</th>
              <th>names</th>
              <th>where</th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, mostShown).map(({ key, what, where, names, notAfter, problem }) => (
              <tr key={key}>
                <td class="ends">
                  <Icon tone={toneOf(notAfter, problem, now)} /> {endOf(notAfter, now)}
                </td>
                <td>
                  {what}
                  {problem !== null && <p class="said">{problem}</p>}
                </td>
                <td class="names">{names}</td>
                <td>{where}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {rows.length > mostShown && <Empty>{count(rows.length - mostShown, 'more', 'more')} end later.</Empty>}
    </Section>
  );
}

function rowsOf({ certificates, caFiles }: Status): readonly Row[] {
  return [
    ...certificates.map(({ frontend, name, file, names, notAfter, problem }) => ({
      key: `${frontend}/${name}`,
      what: name,
      where: frontend,
      names: file === null ? 'self-signed, as there is no other' : names.join(', '),
      notAfter,
      problem,
    })),
    ...caFiles.map(({ frontend, file, subjects, notAfter, problem }) => ({
      key: `${frontend} ${file}`,
      what: file,
      where: frontend === null ? 'CA of servers' : `CA of ${frontend}`,
      names: subjects.join('; '),
      notAfter,
      problem,
    })),
  ].sort((a, b) => (a.notAfter ?? 0) - (b.notAfter ?? 0));
}

function toneOf(notAfter: Timestamp | null, problem: string | null, now: Timestamp): Tone {
  if (notAfter === null || notAfter <= now) return 'bad';
  return problem !== null || notAfter - now < 14 * dayMs ? 'warn' : 'good';
}

function endOf(notAfter: Timestamp | null, now: Timestamp): JSX.Element {
  if (notAfter === null) return <span>not served</span>;
  const days = Math.floor((notAfter - now) / dayMs);
  return (
    <span class="number">
      {days < 0 ? 'expired' : count(days, 'day')}, {dateOf(notAfter)}
    </span>
  );
}
