/** Of thousands of rows of one height only those in sight are elements; arrow keys go through all of them. */
import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

type Props<T> = {
  readonly label: string;
  readonly items: readonly T[];
  /** In pixels. */
  readonly rowHeight: number;
  readonly keyOf: (item: T) => string;
  /** A row has one link, which gets the focus. */
  readonly row: (item: T) => JSX.Element;
  readonly header: JSX.Element;
};

/** Rows above and below those in sight. */
const overscan = 8;

export function VirtualList<T>({ label, items, rowHeight, keyOf, row, header }: Props<T>): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ top: 0, height: 600 });
  /** The row that gets the focus once it is there. */
  const wanted = useRef<number | null>(null);

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const look = (): void =>
      setPlace((before) => {
        const now = { top: element.scrollTop, height: element.clientHeight };
        return before.top === now.top && before.height === now.height ? before : now;
      });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, []);

  // What a filter leaves may be shorter than the place that was scrolled to.
  useLayoutEffect(() => {
    if (box.current !== null) setPlace((before) => ({ ...before, top: box.current?.scrollTop ?? 0 }));
  }, [items.length]);

  useLayoutEffect(() => {
    if (wanted.current === null) return;
    const link = box.current?.querySelector<HTMLElement>(`[aria-rowindex="${wanted.current + 2}"] a`);
    if (link != null) {
      wanted.current = null;
      link.focus({ preventScroll: true });
    }
  });

  const first = Math.max(0, Math.min(Math.floor(place.top / rowHeight) - overscan, items.length - 1));
  const last = Math.min(items.length, Math.ceil((place.top + place.height) / rowHeight) + overscan);

  const move = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    const focused = (event.target as Element).closest('[aria-rowindex]');
    if (step === undefined || focused === null || box.current === null) return;
    const from = Number(focused.getAttribute('aria-rowindex')) - 2;
    const to = Math.min(items.length - 1, Math.max(0, from + step));
    event.preventDefault();
    wanted.current = to;
    const { scrollTop, clientHeight } = box.current;
    const top = to * rowHeight;
    // The header stays above the rows.
    if (top < scrollTop) box.current.scrollTop = top;
    else if (top + 2 * rowHeight > scrollTop + clientHeight) box.current.scrollTop = top + 2 * rowHeight - clientHeight;
    setPlace({ top: box.current.scrollTop, height: clientHeight });
  };

  return (
    <div
      class="virtual"
      ref={box}
      tabIndex={0}
      role="table"
      aria-label={label}
      aria-rowcount={items.length + 1}
      onKeyDown={move}
    >
      <div role="rowgroup" class="row-head">
        {header}
      </div>
      <div role="rowgroup" class="rows" style={{ height: `${items.length * rowHeight}px` }}>
        {items.slice(first, last).map((item, at) => (
          <div
            key={keyOf(item)}
            role="row"
            class="row"
            aria-rowindex={first + at + 2}
            style={{ transform: `translateY(${(first + at) * rowHeight}px)` }}
          >
            {row(item)}
          </div>
        ))}
      </div>
    </div>
  );
}
