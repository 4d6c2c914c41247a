/** What is known about the cell that is pointed at or has the focus. */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { query } from '@/api/queries';
import { Duration } from '@/components/Duration';
import { StateBadge } from '@/components/StateBadge';
import { Time } from '@/components/Time';
import { STATE_ORDER, isFinished } from '@/states/states';
import { t, textOf } from '@/texts';
import { type Board, type Column, stateOf } from './board';
import { typeWord } from './labels';
import classes from './Matrix.module.css';
import { CELL, HEAD } from './paint';
import type { Row } from './rows';

export type Spot = { row: number; column: number };
type Props = {
  dagId: string;
  board: Board;
  column: Column;
  row: Row | null;
  spot: Spot;
  labels: number;
  scroller: HTMLElement | null;
  touches: boolean;
};

const WIDTH = 300;
/** Milliseconds of resting on a cell before its times are asked for. */
const REST = 180;

export function Tip({ dagId, board, column, row, spot, labels, scroller, touches }: Props) {
  const box = scroller?.getBoundingClientRect();
  if (!scroller || !box) return null;
  const x = box.left + labels + spot.column * CELL.width - scroller.scrollLeft;
  const y = box.top + (spot.row < 0 ? HEAD - CELL.height : HEAD + spot.row * CELL.height - scroller.scrollTop);
  const style: React.CSSProperties = {
    width: WIDTH,
    left: Math.max(8, Math.min(document.documentElement.clientWidth - WIDTH - 8, x + CELL.width / 2 - WIDTH / 2)),
  };
  if (y < innerHeight * 0.6) style.top = y + CELL.height + 8;
  else style.bottom = innerHeight - y + 8;
  const { run } = column;
  const state = row && stateOf(board.state(column, row.tasks));
  const several = row !== null && (row.kind === 'group' || row.mapped);
  return (
    <div role="tooltip" className={classes.tip} style={style}>
      <strong className={classes.tipTitle}>{row ? row.id : run.run_id}</strong>
      {row && <div className="dim">{run.run_id}</div>}
      {!row && (
        <dl>
          <dt>
            <StateBadge state={run.state} />
          </dt>
          <dd>{typeWord(run.run_type)}</dd>
          <Line name={t('dag.grid.tip.due')}>
            <Time at={run.run_after} />
          </Line>
          <Line name={t('dag.grid.tip.took')}>
            <Duration from={run.started_at} until={run.ended_at} running={!isFinished(run.state)} />
          </Line>
          <Line name={t('dag.grid.tip.version')}>{run.version}</Line>
        </dl>
      )}
      {row && state === null && <div className="dim">{t('dag.grid.absent')}</div>}
      {several && state !== null && (
        <ul className={classes.tipStates}>
          {STATE_ORDER.map((each) => {
            const count = board.counts(column, row.tasks)[each];
            return count ? (
              <li key={each}>
                <StateBadge state={each} count={count} />
              </li>
            ) : null;
          })}
        </ul>
      )}
      {row && !several && state !== null && (
        <>
          <StateBadge state={state} />
          <Times key={`${run.run_id} ${row.id} ${state}`} dagId={dagId} runId={run.run_id} taskId={row.id} />
        </>
      )}
      {touches && <div className={classes.tipKeys}>{t('dag.grid.tip.keys')}</div>}
    </div>
  );
}

function Line({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt className="dim">{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Times({ dagId, runId, taskId }: { dagId: string; runId: string; taskId: string }) {
  const [rested, setRested] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setRested(true), REST);
    return () => clearTimeout(timer);
  }, []);
  const path = { dag_id: dagId, run_id: runId, task_id: taskId };
  const found = useQuery({ ...query('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}', { path }), enabled: rested }).data;
  if (!found) return null;
  return (
    <dl>
      {found.started_at && (
        <Line name={t('dag.grid.tip.started')}>
          <Time at={found.started_at} />
        </Line>
      )}
      {found.started_at && (
        <Line name={t('dag.grid.tip.took')}>
          <Duration from={found.started_at} until={found.ended_at} running={!isFinished(found.state)} />
        </Line>
      )}
      {found.try_number > 0 && <Line name={t('dag.grid.tip.try')}>{found.try_number}</Line>}
      {found.cause && <Line name={t('dag.grid.tip.cause')}>{textOf(`cause.${found.cause}`) ?? found.cause}</Line>}
    </dl>
  );
}
