import { IconChevronRight } from '@tabler/icons-react';
import { memo } from 'react';
import { t } from '@/texts';
import { parseAnsi } from './ansi';
import { type Line, drawn, levelCode } from './book';
import classes from './Log.module.css';
import { drawnAs } from './lookStyle';
import { type Piece, findMatches, piecesOf } from './pieces';

export type LineFold = { kind: 'group' | 'traceback' | 'record'; closed: boolean; hidden: number };
type Props = {
  line: Line | null;
  number: number;
  digits: number;
  times: boolean;
  needle: string;
  current: boolean;
  chosen: boolean;
  fold: LineFold | null;
  index: number;
  onFold: (index: number) => void;
  onChoose: (number: number, toThere: boolean) => void;
};

/** One line of a log. Its text is untrusted: it becomes text nodes, and links of http and https only. */
export const LogLine = memo(function LogLine({
  line,
  number,
  digits,
  times,
  needle,
  current,
  chosen,
  fold,
  index,
  onFold,
  onChoose,
}: Props) {
  const level = levelCode(line?.level);
  return (
    <div
      className={classes.line}
      data-number={number}
      data-trouble={level >= 4 || undefined}
      data-fold={fold?.kind}
      data-chosen={chosen || undefined}
      data-hit={current || undefined}
    >
      <a
        className={classes.number}
        style={{ minWidth: `calc(${digits}ch + 18px)` }}
        href={`#L${number}`}
        tabIndex={-1}
        aria-label={t('task.log.line', { number: String(number) })}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey) return;
          event.preventDefault();
          onChoose(number, event.shiftKey);
        }}
      >
        {number}
      </a>
      {times && <span className={classes.time}>{clockOf(line?.time)}</span>}
      <span className={classes.kind} data-level={line?.source === 'stderr' ? undefined : level}>
        {kindOf(line, level)}
      </span>
      {fold ? (
        <button
          type="button"
          className={classes.fold}
          aria-expanded={!fold.closed}
          aria-label={fold.closed ? t('task.log.unfold') : t('task.log.fold')}
          onClick={() => onFold(index)}
        >
          <IconChevronRight size={14} stroke={2.2} aria-hidden />
        </button>
      ) : (
        <span className={classes.fold} />
      )}
      <span className={classes.text}>
        {line ? <Text line={line} needle={needle} current={current} fold={fold} /> : '…'}
        {fold?.closed && <span className={classes.more}> {t('task.log.hidden', { count: fold.hidden })}</span>}
      </span>
    </div>
  );
});

function Text({
  line,
  needle,
  current,
  fold,
}: {
  line: Line;
  needle: string;
  current: boolean;
  fold: LineFold | null;
}) {
  let raw = drawn(line.text);
  if (fold?.kind === 'group') raw = raw.replace(/^(\s*)::group::/, '$1');
  if (fold?.kind === 'record' && fold.closed) raw = raw.slice(0, raw.indexOf('\n'));
  const styled = parseAnsi(raw.replace(/\n+$/, ''));
  const pieces = piecesOf(styled, findMatches(styled.text, needle));
  const shown = pieces.map((piece, at) => <PieceView key={at} piece={piece} current={current} />);
  return line.source === 'runner' ? <span className={classes.runner}>{shown}</span> : shown;
}

function PieceView({ piece, current }: { piece: Piece; current: boolean }) {
  const text = piece.match ? <mark data-current={current || undefined}>{piece.text}</mark> : piece.text;
  const inside = piece.href ? (
    <a href={piece.href} target="_blank" rel="noopener noreferrer nofollow" tabIndex={-1}>
      {text}
    </a>
  ) : (
    text
  );
  return piece.look ? <span {...drawnAs(piece.look, classes)}>{inside}</span> : inside;
}

const LEVEL_WORDS = ['', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'CRITICAL'];

/** What stands before the text: the level of what was logged; for all else, where it comes from. */
function kindOf(line: Line | null, level: number): string {
  if (!line) return '';
  if (line.source === 'stdout') return '';
  if (line.source === 'stderr') return 'stderr';
  if (line.source === 'runner' && level < 3) return 'airloom';
  return LEVEL_WORDS[level] ?? '';
}

const pad = (value: number, length = 2) => String(value).padStart(length, '0');

function clockOf(time: string | null | undefined): string {
  const at = time ? new Date(time) : null;
  if (!at || Number.isNaN(at.getTime())) return '';
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
}
