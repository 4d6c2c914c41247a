/** When the tries of a run waited and ran; live while it runs. What is seen of the time is in the address. */
import { ActionIcon, Button, Checkbox } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useVirtualizer } from '@tanstack/react-virtual';
import { IconArrowLeft, IconArrowRight, IconRoute, IconZoomIn, IconZoomOut } from '@tabler/icons-react';
import { type PointerEvent, type ReactNode, memo, useMemo, useRef, useState } from 'react';
import { keyOf, query } from '@/api/queries';
import { EmptyState } from '@/components/EmptyState';
import { Pending } from '@/components/Pending';
import { StateIcon } from '@/components/StateIcon';
import { formatDuration, millis, useNow } from '@/components/time';
import { useLiveQueries } from '@/live/live';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { useUrlState } from '@/routing/router';
import { colourOf, isFinished, wordOf } from '@/states/states';
import { t } from '@/texts';
import { tickLabel, timeTicks } from '../ticks';
import { useFill } from '../useFill';
import classes from './Gantt.module.css';
import { type Bar, type GanttRow, type Span, rowsOf, spanOf, within, zoomed } from './model';

type RunLike = { run_id: string; state: string; started_at?: string | null };
type Props = { dagId: string; run: RunLike; controls?: ReactNode };

const ROW = 26;

export function GanttView({ dagId, run, controls }: Props) {
  const [url, setUrl] = useUrlState();
  const path = { dag_id: dagId, run_id: run.run_id };
  const gantt = useQuery(query('/dags/{dag_id}/runs/{run_id}/gantt', { path }));
  useLiveQueries({ dagId, runId: run.run_id }, [keyOf('/dags/{dag_id}/runs/{run_id}/gantt', { path })], 700);
  const runs = !isFinished(run.state);
  const now = useNow(runs) / 1000;
  const all = useMemo(() => (gantt.data ? rowsOf(gantt.data) : []), [gantt.data]);
  const onlyCritical = url.get('critical') === '1';
  const rows = useMemo(() => (onlyCritical ? all.filter((row) => row.critical) : all), [all, onlyCritical]);
  if (!gantt.data) return <Pending error={gantt.error} retry={() => void gantt.refetch()} />;

  const begun = millis(run.started_at);
  const whole = spanOf(all, begun === null ? null : begun / 1000, now);
  // In the address: seconds from the beginning of the run, so that a link shows the same while the run goes on.
  const [from, until] = [url.get('from'), url.get('until')].map((text) => (text === null ? NaN : Number(text)));
  const chosen = from! < until! ? { from: whole.from + from!, until: whole.from + until! } : null;
  const span = chosen ?? whole;
  const look = (next: Span | null) =>
    setUrl({ from: next && (next.from - whole.from).toFixed(3), until: next && (next.until - whole.from).toFixed(3) });
  return (
    <>
      <div className={classes.bar}>
        {controls}
        <Checkbox
          label={t('dag.gantt.onlyCritical')}
          checked={onlyCritical}
          onChange={(event) => setUrl({ critical: event.currentTarget.checked ? '1' : null })}
        />
        <div className={classes.zoom} role="group" aria-label={t('dag.gantt.zoom')}>
          <ActionIcon
            variant="default"
            aria-label={t('dag.gantt.earlier')}
            disabled={!chosen}
            onClick={() => look(zoomed(span, whole, 1, -0.4))}
          >
            <IconArrowLeft size={15} aria-hidden />
          </ActionIcon>
          <ActionIcon
            variant="default"
            aria-label={t('dag.gantt.later')}
            disabled={!chosen}
            onClick={() => look(zoomed(span, whole, 1, 0.4))}
          >
            <IconArrowRight size={15} aria-hidden />
          </ActionIcon>
          <ActionIcon
            variant="default"
            aria-label={t('dag.graph.zoomIn')}
            onClick={() => look(zoomed(span, whole, 0.5))}
          >
            <IconZoomIn size={15} aria-hidden />
          </ActionIcon>
          <ActionIcon
            variant="default"
            aria-label={t('dag.graph.zoomOut')}
            disabled={!chosen}
            onClick={() => look(zoomed(span, whole, 2))}
          >
            <IconZoomOut size={15} aria-hidden />
          </ActionIcon>
          <Button variant="default" disabled={!chosen} onClick={() => look(null)}>
            {t('dag.gantt.whole')}
          </Button>
        </div>
        <span className={classes.legend}>
          <span className={classes.queued} aria-hidden /> {t('dag.gantt.waited')}
          <IconRoute size={13} aria-hidden className={classes.route} /> {t('dag.gantt.critical')}
        </span>
      </div>
      {gantt.data.truncated && <p className="dim">{t('dag.gantt.truncated', { count: all.length })}</p>}
      {rows.length === 0 ? (
        <EmptyState title={t(runs ? 'dag.gantt.empty' : 'dag.gantt.nothing')}>
          {t(runs ? 'dag.gantt.empty.text' : 'dag.gantt.nothing.text')}
        </EmptyState>
      ) : (
        <Chart dagId={dagId} runId={run.run_id} rows={rows} whole={whole} span={span} now={now} look={look} />
      )}
    </>
  );
}

type ChartProps = {
  dagId: string;
  runId: string;
  rows: readonly GanttRow[];
  whole: Span;
  span: Span;
  now: number;
  look: (span: Span) => void;
};

function Chart({ dagId, runId, rows, whole, span, now, look }: ChartProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 10,
  });
  const ticks = timeTicks(span.from - whole.from, span.until - whole.from, innerWidth < 640 ? 3 : 8);
  const fill = useFill(scroller);
  return (
    <div className={classes.scroller} ref={scroller} style={fill}>
      <div role="table" aria-label={t('dag.gantt.label', { run: runId })} aria-rowcount={rows.length}>
        <Axis ticks={ticks} whole={whole} span={span} look={look} />
        <div role="rowgroup" className={classes.rows} style={{ height: virtual.getTotalSize() }}>
          <div className={classes.lines} aria-hidden>
            {ticks.map((tick) => {
              const place = within(span, tick + whole.from, tick + whole.from);
              return place && <span key={tick} style={{ left: `${place.left}%` }} />;
            })}
          </div>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index]!;
            // A row of finished bars is drawn once; only what runs moves with the time.
            const moves = row.bars.some((bar) => bar.ended === null);
            return (
              <Row
                key={row.key}
                dagId={dagId}
                runId={runId}
                row={row}
                top={item.start}
                from={span.from}
                until={span.until}
                now={moves ? now : 0}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** The time; a part of it that is dragged over is zoomed to. */
function Axis({
  ticks,
  whole,
  span,
  look,
}: {
  ticks: readonly number[];
  whole: Span;
  span: Span;
  look: (span: Span) => void;
}) {
  const [drag, setDrag] = useState<{ a: number; b: number } | null>(null);
  const shareAt = (event: PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const end = () => {
    if (drag && Math.abs(drag.a - drag.b) > 0.01) {
      const length = span.until - span.from;
      look({
        from: span.from + Math.min(drag.a, drag.b) * length,
        until: span.from + Math.max(drag.a, drag.b) * length,
      });
    }
    setDrag(null);
  };
  return (
    <div role="rowgroup" className={classes.axis}>
      <div role="row" className={classes.axisRow}>
        <div role="columnheader" className={classes.corner}>
          {t('dag.grid.tasks')}
        </div>
        <div
          role="columnheader"
          className={classes.time}
          title={t('dag.gantt.drag')}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            const at = shareAt(event);
            setDrag({ a: at, b: at });
          }}
          onPointerMove={(event) => drag && setDrag({ ...drag, b: shareAt(event) })}
          onPointerUp={end}
          onPointerCancel={() => setDrag(null)}
        >
          {ticks.map((tick) => {
            const place = within(span, tick + whole.from, tick + whole.from);
            return (
              place && (
                <span key={tick} className={classes.tick} style={{ left: `${place.left}%` }}>
                  {tickLabel(tick)}
                </span>
              )
            );
          })}
          {drag && (
            <span
              className={classes.dragged}
              style={{ left: `${Math.min(drag.a, drag.b) * 100}%`, width: `${Math.abs(drag.a - drag.b) * 100}%` }}
            />
          )}
        </div>
      </div>
    </div>
  );
}

type RowProps = { dagId: string; runId: string; row: GanttRow; top: number; from: number; until: number; now: number };

const Row = memo(function Row({ dagId, runId, row, top, from, until, now }: RowProps) {
  const last = row.bars.at(-1)!;
  const address = to.task(dagId, runId, row.taskId, { mapIndex: row.mapIndex });
  return (
    <div
      role="row"
      className={classes.row}
      style={{ transform: `translateY(${top}px)`, height: ROW }}
      data-critical={row.critical || undefined}
    >
      <div role="rowheader" className={classes.label}>
        <StateIcon state={last.state} size={13} />
        <Link to={address} className="cut" title={row.key}>
          {row.key}
        </Link>
        {row.critical && <IconRoute size={13} aria-label={t('dag.gantt.critical')} className={classes.route} />}
      </div>
      <div role="cell" className={classes.track}>
        {row.bars.map((bar) => (
          <BarView key={bar.number} bar={bar} span={{ from, until }} now={now} several={row.bars.length > 1} />
        ))}
      </div>
    </div>
  );
});

function BarView({ bar, span, now, several }: { bar: Bar; span: Span; now: number; several: boolean }) {
  const end = bar.ended ?? now;
  const waits = bar.queued === null ? null : within(span, bar.queued, bar.started ?? end);
  const runs = bar.started === null ? null : within(span, bar.started, end);
  const waited = bar.queued === null ? 0 : Math.max(0, (bar.started ?? end) - bar.queued);
  const words = t('dag.gantt.bar', {
    number: bar.number,
    state: wordOf(bar.state),
    waited: formatDuration(waited),
    ran: bar.started === null ? '–' : formatDuration(end - bar.started),
  });
  return (
    <>
      {waits && (
        <span className={classes.waits} title={words} style={{ left: `${waits.left}%`, width: `${waits.width}%` }} />
      )}
      {runs && (
        <span
          className={classes.runs}
          role="img"
          aria-label={words}
          title={words}
          data-state={bar.state}
          style={{ left: `${runs.left}%`, width: `${runs.width}%`, color: colourOf(bar.state) }}
        >
          {several && runs.width > 3 && <span className={classes.number}>{bar.number}</span>}
        </span>
      )}
    </>
  );
}
