/** A list of any length: only the rows that are seen are in the page, and further parts are loaded as one scrolls. */
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { t } from '@/texts';
import classes from './VirtualTable.module.css';

export type Column<Item> = {
  key: string;
  head: ReactNode;
  /** A CSS grid track: `minmax(200px, 2fr)`, `120px`. */
  width: string;
  cell: (item: Item) => ReactNode;
  align?: 'right';
  /** Hidden on narrow screens. */
  wide?: boolean;
};

type Props<Item> = {
  label: string;
  items: readonly Item[];
  columns: readonly Column<Item>[];
  keyOf: (item: Item) => string;
  rowHeight?: number;
  /** Of an infinite query: `more={query.hasNextPage}`, `loadMore={query.fetchNextPage}`, `loading={query.isFetchingNextPage}`. */
  more?: boolean;
  loading?: boolean;
  loadMore?: () => unknown;
  /** Marks a row, for instance as dim. */
  rowKind?: (item: Item) => string | undefined;
};

export function VirtualTable<Item>({
  label,
  items,
  columns,
  keyOf,
  rowHeight = 44,
  more = false,
  loading = false,
  loadMore,
  rowKind,
}: Props<Item>) {
  const body = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    setTop((body.current?.getBoundingClientRect().top ?? 0) + window.scrollY);
  }, [items.length === 0]);
  const rows = useWindowVirtualizer({
    count: items.length,
    estimateSize: () => rowHeight,
    overscan: 12,
    scrollMargin: top,
  });
  const visible = rows.getVirtualItems();
  const last = visible.at(-1)?.index ?? 0;
  const wanted = more && !loading && last >= items.length - 20;
  useEffect(() => {
    if (wanted) void loadMore?.();
  }, [wanted, loadMore]);
  const tracks = { gridTemplateColumns: columns.map((column) => column.width).join(' ') };
  return (
    <div className={classes.scroll}>
      <div role="table" aria-label={label} aria-rowcount={more ? -1 : items.length + 1} className={classes.table}>
        <div role="rowgroup" className={classes.head}>
          <div role="row" className={classes.row} style={tracks} aria-rowindex={1}>
            {columns.map((column) => (
              <div role="columnheader" key={column.key} data-align={column.align}>
                {column.head}
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" ref={body} style={{ height: rows.getTotalSize(), position: 'relative' }}>
          {visible.map((row) => {
            const item = items[row.index]!;
            return (
              <div
                role="row"
                key={keyOf(item)}
                aria-rowindex={row.index + 2}
                className={classes.row}
                data-kind={rowKind?.(item)}
                style={{
                  ...tracks,
                  position: 'absolute',
                  insetInline: 0,
                  height: rowHeight,
                  transform: `translateY(${row.start - top}px)`,
                }}
              >
                {columns.map((column) => (
                  <div role="cell" key={column.key} data-align={column.align}>
                    {column.cell(item)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
        {loading && (
          <div className={classes.more} role="status">
            {t('shared.loadingMore')}
          </div>
        )}
      </div>
    </div>
  );
}
