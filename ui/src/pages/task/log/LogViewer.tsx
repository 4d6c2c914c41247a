/** The log of a try: of any length, live, with search, levels, folds and links to lines. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { messageOf } from '@/components/Pending';
import { toastDone, toastError } from '@/components/toasts';
import { useUrlState } from '@/routing/router';
import { formatNumber, t } from '@/texts';
import { LEVEL_CODES, type LevelName } from './book';
import { Layout, foldsOver, isClosed } from './layout';
import classes from './Log.module.css';
import { LogBar } from './LogBar';
import { type LineFold, LogLine } from './LogLine';
import type { Reader } from './reader';
import { inLog, scaleOf } from './scale';
import { nextHit, textOfLine } from './search';
import { type TryOf, downloadOf, useLog, useSearchHits } from './useLog';
import { useFill, useMeasure } from './useMeasure';
import { type LineRange, useLineHash } from './useLineHash';
import { ROW, useLogScroll } from './useLogScroll';

const OVERSCAN = 12;
/** Columns that stand before a text: level and fold; with times. */
const KIND_COLUMNS = 9;
const TIME_COLUMNS = 13;

type Props = {
  of: TryOf;
  /** Whether the end is what one wants to see: of what still runs, and of what failed. */
  fromEnd: boolean;
  live: boolean;
};

export default function LogViewer({ of, fromEnd, live }: Props) {
  const reader = useLog(of);
  const { book } = reader;
  const [url, setUrl] = useUrlState();
  const [chosen, choose] = useLineHash();
  // A narrow screen has better use for the room, unless they are asked for.
  const times = (url.get('times') ?? (innerWidth < 640 ? 'off' : 'on')) === 'on';
  const wrap = url.get('wrap') !== 'off';
  const needle = url.get('find') ?? '';
  const level = url.get('level') as LevelName | null;
  const minLevel = (level && LEVEL_CODES[level]) || 0;
  const [folded, setFolded] = useState<ReadonlyMap<number, boolean>>(new Map());
  const [cut, setCut] = useState<ReadonlySet<number>>(new Set());
  const [hit, setHit] = useState<number | null>(null);
  const place = useRef<HTMLDivElement>(null);
  const probe = useRef<HTMLSpanElement>(null);
  const measure = useMeasure(place, probe);
  const height = useFill(place);
  const digits = String(book.firstNumber + Math.max(book.count, 999) - 1).length;
  const before = digits + KIND_COLUMNS + (times ? TIME_COLUMNS : 0);
  const wrapAt = wrap
    ? Math.max(20, Math.floor((measure.width - before * measure.character - 18 - 18 - 14) / measure.character))
    : 0;
  const layout = useMemo(
    () => new Layout(book, { minLevel, folded, cut, wrapAt }),
    // The version stands for what is in the book.
    [book, book.version, minLevel, folded, cut, wrapAt],
  );
  const scale = scaleOf(layout.rows * ROW, measure.height);
  const hits = useSearchHits(reader, needle, minLevel);

  const {
    follow,
    setFollow,
    top: barTop,
    onScroll,
    goTo,
  } = useLogScroll({
    place,
    layout,
    scale,
    live: reader.state === 'following',
    fromEnd: fromEnd && !chosen,
  });
  const show = useCallback(
    (index: number) => {
      setFolded((now) => {
        const over = foldsOver(book, now, index);
        return over.length ? new Map([...now, ...over.map((fold) => [fold.start, false] as const)]) : now;
      });
      goTo(index);
    },
    [book, goTo],
  );

  // A link to a line is gone to as soon as the line is read.
  const shownHash = useRef<string>('');
  useEffect(() => {
    const key = chosen ? `${chosen.from}-${chosen.to}` : '';
    if (!chosen || shownHash.current === key) return;
    if (book.count === 0 || chosen.from > book.firstNumber + book.count - 1) return;
    shownHash.current = key;
    show(book.indexOf(chosen.from));
  }, [chosen, book.count, show]);

  const step = useCallback(
    (direction: 1 | -1) => {
      if (hits.lines.length === 0) return;
      const top = layout.lines[layout.atRow(inLog(scale, barTop) / ROW)] ?? 0;
      const at = nextHit(hits.lines, hit ?? (direction === 1 ? top - 1 : top), direction);
      const index = hits.lines[at];
      if (index === undefined) return;
      setHit(index);
      setCut((now) => (now.has(index) ? new Set([...now].filter((each) => each !== index)) : now));
      show(index);
    },
    [hits, hit, layout, scale, barTop, show],
  );
  useEffect(() => setHit(null), [needle, minLevel]);
  useStepKeys(step);

  const choosing = useCallback(
    (number: number, toThere: boolean) => {
      setFollow(false);
      const from = toThere && chosen ? Math.min(chosen.from, number) : number;
      const to = toThere && chosen ? Math.max(chosen.to, number) : number;
      const range: LineRange = { from, to };
      shownHash.current = `${from}-${to}`;
      choose(range);
    },
    [chosen, choose],
  );

  const top = inLog(scale, barTop);
  const first = Math.max(0, layout.atRow(Math.floor(top / ROW)) - OVERSCAN);
  const rows: number[] = [];
  for (
    let at = first;
    at < layout.lines.length && layout.startOf(at) * ROW < top + measure.height + OVERSCAN * ROW;
    at += 1
  )
    rows.push(layout.lines[at] as number);
  useEffect(() => {
    for (const index of rows) if (book.missing(index)) void reader.need(index);
  });
  const shift = layout.startOf(first) * ROW - top + barTop;

  const foldOf = (index: number): LineFold | null => {
    const fold = book.finder.folds.get(index);
    if (fold) {
      const closed = minLevel === 0 && isClosed(fold, folded);
      return { kind: fold.kind, closed, hidden: (fold.end ?? book.count - 1) - fold.start };
    }
    const parts = book.partCount(index);
    return parts > 1 ? { kind: 'record', closed: cut.has(index), hidden: parts - 1 } : null;
  };
  const toggle = useCallback(
    (index: number) => {
      setFollow(false);
      const fold = book.finder.folds.get(index);
      if (fold) setFolded((now) => new Map(now).set(index, !isClosed(fold, now)));
      else setCut((now) => new Set(now.has(index) ? [...now].filter((each) => each !== index) : [...now, index]));
    },
    [book],
  );

  return (
    <section className={classes.viewer} aria-label={t('task.log.label')}>
      <LogBar
        hits={hits}
        at={hit === null ? -1 : hits.lines.indexOf(hit)}
        onStep={step}
        follow={follow}
        canFollow={live || reader.state === 'following' || reader.state === 'reading'}
        onFollow={setFollow}
        onCopy={() => void copyAll(reader, layout)}
        download={downloadOf(of)}
        wrap={wrap}
        times={times}
        set={setUrl}
      />
      <div
        ref={place}
        className={classes.scroll}
        style={{ height }}
        onScroll={onScroll}
        tabIndex={0}
        role="region"
        aria-label={t('task.log.lines')}
      >
        <span ref={probe} className={classes.probe} aria-hidden="true">
          {'0'.repeat(100)}
        </span>
        {layout.lines.length === 0 && <Nothing reader={reader} filtered={book.count > 0} live={live} />}
        <div
          className={classes.space}
          style={{ height: scale.space, width: wrap ? undefined : `calc(${before + book.widest + 2}ch + 60px)` }}
        >
          <div className={classes.window} data-wrap={wrap || undefined} style={{ transform: `translateY(${shift}px)` }}>
            {rows.map((index) => {
              const line = book.line(index);
              const number = line?.number ?? book.firstNumber + index;
              return (
                <LogLine
                  key={index}
                  line={line}
                  number={number}
                  digits={digits}
                  times={times}
                  needle={needle}
                  current={index === hit}
                  chosen={chosen !== null && number >= chosen.from && number <= chosen.to}
                  fold={foldOf(index)}
                  index={index}
                  onFold={toggle}
                  onChoose={choosing}
                />
              );
            })}
          </div>
        </div>
      </div>
      <State reader={reader} shown={layout.lines.length} filtered={minLevel > 0} />
    </section>
  );
}

function Nothing({ reader, filtered, live }: { reader: Reader; filtered: boolean; live: boolean }) {
  if (reader.state === 'failed') return <div className={classes.empty}>{messageOf(reader.error)}</div>;
  if (filtered) return <div className={classes.empty}>{t('task.log.allFiltered')}</div>;
  if (reader.state === 'reading') return <div className={classes.empty}>{t('shared.loading')}</div>;
  return <div className={classes.empty}>{live ? t('task.log.nothingYet') : t('task.log.nothing')}</div>;
}

/** The line below: how much there is, and whether more will come. */
function State({ reader, shown, filtered }: { reader: Reader; shown: number; filtered: boolean }) {
  const { count } = reader.book;
  return (
    <div className={classes.state}>
      <span className="number">
        {filtered ? t('task.log.countOf', { shown, count }) : t('task.log.count', { count })}
      </span>
      {reader.state === 'failed' && (
        <button type="button" onClick={() => reader.again()}>
          {t('shared.retry')}
        </button>
      )}
      <span role="status">{t(`task.log.state.${reader.state}`)}</span>
    </div>
  );
}

function useStepKeys(step: (direction: 1 | -1) => void): void {
  const current = useRef(step);
  current.current = step;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.key !== 'n' && event.key !== 'N') return;
      if (document.querySelector('[role="dialog"]')) return;
      event.preventDefault();
      current.current(event.key === 'n' ? 1 : -1);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

/** Characters that are put on the clipboard at most. */
const MOST_COPIED = 20_000_000;

async function copyAll(reader: Reader, layout: Layout): Promise<void> {
  const texts: string[] = [];
  let size = 0;
  try {
    for (const index of layout.lines) {
      if (reader.book.missing(index)) await reader.need(index);
      const text = textOfLine(reader.book, index) ?? '';
      size += text.length + 1;
      if (size > MOST_COPIED) break;
      texts.push(text);
    }
    await navigator.clipboard.writeText(texts.join('\n'));
    toastDone(
      size > MOST_COPIED
        ? t('task.log.copiedPart', { count: formatNumber(texts.length) })
        : t('task.log.copied', { count: texts.length }),
    );
  } catch (error) {
    toastError(error);
  }
}
