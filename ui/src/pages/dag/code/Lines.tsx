/** Lines of code, and of a diff. Only what is seen is in the page; all text is text. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useMemo, useRef, useState } from 'react';
import { t } from '@/texts';
import { useFill } from '../useFill';
import classes from './Code.module.css';
import { type Diff, type DiffLine, hunksOf } from './diff';
import { type Piece, colour } from './python';

const LINE = 20;

function Scroller({ count, label, row }: { count: number; label: string; row: (at: number) => ReactNode }) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE,
    overscan: 30,
  });
  const fill = useFill(scroller);
  return (
    <div ref={scroller} style={fill} className={classes.scroller} tabIndex={0} role="region" aria-label={label}>
      <div className={classes.lines} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => (
          <div key={item.key} className={classes.line} style={{ transform: `translateY(${item.start}px)` }}>
            {row(item.index)}
          </div>
        ))}
      </div>
    </div>
  );
}

const Text = ({ pieces }: { pieces: readonly Piece[] | undefined }) => (
  <code className={classes.text}>
    {pieces?.map((piece, at) =>
      piece.kind === 'plain' ? (
        piece.text
      ) : (
        <span key={at} className={classes[piece.kind]}>
          {piece.text}
        </span>
      ),
    )}
  </code>
);

export function CodeLines({ lines, label }: { lines: readonly string[]; label: string }) {
  const coloured = useMemo(() => colour(lines), [lines]);
  return (
    <Scroller
      count={lines.length}
      label={label}
      row={(at) => (
        <>
          <span className={classes.number}>{at + 1}</span>
          <Text pieces={coloured[at]} />
        </>
      )}
    />
  );
}

/** left, right: what stands side by side; hidden: lines that are the same and left out. */
type Shown = { left: DiffLine | null; right: DiffLine | null } | { hidden: DiffLine[]; id: number };

/** Removed lines stand beside the added ones that came in their place. */
function paired(lines: readonly DiffLine[]): Shown[] {
  const rows: Shown[] = [];
  let removed: DiffLine[] = [];
  let added: DiffLine[] = [];
  const flush = () => {
    for (let at = 0; at < Math.max(removed.length, added.length); at += 1)
      rows.push({ left: removed[at] ?? null, right: added[at] ?? null });
    [removed, added] = [[], []];
  };
  for (const line of lines) {
    if (line.kind === 'removed') removed.push(line);
    else if (line.kind === 'added') added.push(line);
    else {
      flush();
      rows.push({ left: line, right: line });
    }
  }
  flush();
  return rows;
}

type Props = { a: readonly string[]; b: readonly string[]; diff: Diff; split: boolean; label: string };

export function DiffLines({ a, b, diff, split, label }: Props) {
  const [opened, setOpened] = useState<ReadonlySet<number>>(new Set());
  const left = useMemo(() => colour(a), [a]);
  const right = useMemo(() => colour(b), [b]);
  const rows = useMemo(() => {
    const shape = split
      ? paired
      : (lines: readonly DiffLine[]): Shown[] => lines.map((line) => ({ left: line, right: null }));
    return hunksOf(diff).flatMap((hunk, id): Shown[] => {
      if ('lines' in hunk) return shape(hunk.lines);
      return opened.has(id) ? shape(hunk.hidden) : [{ hidden: hunk.hidden, id }];
    });
  }, [diff, split, opened]);
  return (
    <Scroller
      count={rows.length}
      label={label}
      row={(at) => {
        const row = rows[at]!;
        if ('hidden' in row) {
          return (
            <button type="button" className={classes.hidden} onClick={() => setOpened(new Set([...opened, row.id]))}>
              {t('dag.code.hidden', { count: row.hidden.length })}
            </button>
          );
        }
        if (split) {
          return (
            <>
              <Side line={row.left} number={row.left?.a} pieces={row.left?.a == null ? undefined : left[row.left.a]} />
              <Side
                line={row.right}
                number={row.right?.b}
                pieces={row.right?.b == null ? undefined : right[row.right.b]}
              />
            </>
          );
        }
        const line = row.left!;
        return (
          <div className={classes.unified} data-kind={line.kind}>
            <span className={classes.number}>{line.a === null ? '' : line.a + 1}</span>
            <span className={classes.number}>{line.b === null ? '' : line.b + 1}</span>
            <Sign kind={line.kind} />
            <Text pieces={line.kind === 'removed' ? left[line.a!] : right[line.b!]} />
          </div>
        );
      }}
    />
  );
}

const Sign = ({ kind }: { kind: DiffLine['kind'] }) => (
  <span
    className={classes.sign}
    aria-label={kind === 'same' ? undefined : t(kind === 'added' ? 'dag.code.added' : 'dag.code.removed')}
  >
    {kind === 'added' ? '+' : kind === 'removed' ? '−' : ' '}
  </span>
);

function Side({
  line,
  number,
  pieces,
}: {
  line: DiffLine | null;
  number: number | null | undefined;
  pieces: readonly Piece[] | undefined;
}) {
  return (
    <div className={classes.side} data-kind={line?.kind ?? 'missing'}>
      <span className={classes.number}>{number == null ? '' : number + 1}</span>
      {line && <Sign kind={line.kind} />}
      <Text pieces={pieces} />
    </div>
  );
}
