/** Small things that all parts show. */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Timestamp } from '../../../model.ts';
import { age, isoOf } from '../model/time.ts';
import type { Tone } from '../model/words.ts';

/** Each tone has a shape of its own: colour is never alone. */
const shapes: Readonly<Record<Tone, JSX.Element>> = {
  good: (
    <>
      <circle cx="8" cy="8" r="7" />
      <path class="on" d="M4.800 8.300l2.200 2.200 4.200-4.700" />
    </>
  ),
  note: (
    <>
      <circle cx="8" cy="8" r="7" />
      <path class="on" d="M8 7.300v4M8 4.600v.1" />
    </>
  ),
  warn: (
    <>
      <path d="M8 .800L15.600 14.400H.400z" />
      <path class="on" d="M8 5.800v4M8 12v.1" />
    </>
  ),
  bad: (
    <>
      <path d="M5 .800h6L15.200 5v6L11 15.200H5L.800 11V5z" />
      <path class="on" d="M5.600 5.600l4.800 4.800M10.400 5.600l-4.800 4.800" />
    </>
  ),
};

export function Icon({ tone }: { readonly tone: Tone }): JSX.Element {
  return (
    <svg class={`icon ${tone}`} viewBox="0 0 16 16" aria-hidden="true">
      {shapes[tone]}
    </svg>
  );
}

type SectionProps = {
  readonly id: string;
  readonly title: string;
  /** Beside the title. */
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
};

export function Section({ id, title, aside, children }: SectionProps): JSX.Element {
  return (
    <section id={id} aria-labelledby={`${id}-title`}>
      <header class="title">
        <h2 id={`${id}-title`}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

/** How long ago, and when exactly. */
export function Age({ since, now }: { readonly since: Timestamp; readonly now: Timestamp }): JSX.Element {
  return (
    <time class="number" dateTime={isoOf(since)} title={isoOf(since)}>
      {age(since, now)}
    </time>
  );
}

/** A command that can be copied. */
export function Command({ text }: { readonly text: string }): JSX.Element {
  const [done, setDone] = useState<'copied' | 'selected' | null>(null);
  const code = useRef<HTMLElement>(null);
  useEffect(() => {
    if (done === null) return;
    const timer = setTimeout(() => setDone(null), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = (): void => {
    // A browser gives the clipboard to pages of this machine and of TLS alone.
    const copied = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error('no clipboard'));
    copied.then(
      () => setDone('copied'),
      () => {
        if (code.current !== null) getSelection()?.selectAllChildren(code.current);
        setDone('selected');
      },
    );
  };
  return (
    <span class="command">
      <code ref={code}>{text}</code>
      <button type="button" onClick={copy} aria-label={`Copy the command ${text}`}>
        {done ?? 'copy'}
      </button>
    </span>
  );
}

/** A sentence in which what stands between backticks is code. */
export function Sentence({ text }: { readonly text: string }): JSX.Element {
  return <>{text.split('`').map((part, at) => (at % 2 === 0 ? part : <code key={part}>{part}</code>))}</>;
}

/** Nothing to show, in words. */
export function Empty({ tone, children }: { readonly tone?: Tone; readonly children: ComponentChildren }): JSX.Element {
  return (
    <p class="empty">
      {tone !== undefined && <Icon tone={tone} />}
      {children}
    </p>
  );
}
