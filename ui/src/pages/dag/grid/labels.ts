/** What cells and heads say in words: to screen readers, and in the tooltip. */
import type { GridRun } from '@/api/schema';
import { formatDuration, formatMoment, millis } from '@/components/time';
import { STATE_ORDER, wordOf } from '@/states/states';
import { t, textOf } from '@/texts';
import { secondsOf } from '../duration';
import { type Board, type Column, type Counts, stateOf } from './board';
import type { Row } from './rows';

export const typeWord = (type: string): string => textOf(`runType.${type}`) ?? type;

function countsLabel(counts: Counts): string {
  return STATE_ORDER.filter((state) => (counts[state] ?? 0) > 0)
    .map((state) => `${counts[state]} ${wordOf(state)}`)
    .join(', ');
}

export function cellLabel(board: Board, column: Column, row: Row): string {
  const state = stateOf(board.state(column, row.tasks));
  const several = row.kind === 'group' || row.mapped;
  const words =
    state === null ? t('dag.grid.absent') : several ? countsLabel(board.counts(column, row.tasks)) : wordOf(state);
  return t('dag.grid.cell', { task: row.id, run: column.run.run_id, state: words });
}

export function columnLabel(run: GridRun): string {
  const started = run.started_at != null;
  return t('dag.grid.column', {
    run: run.run_id,
    type: typeWord(run.run_type),
    state: wordOf(run.state),
    when: formatMoment(millis(run.run_after) ?? 0, 0, true),
    duration: started ? formatDuration(secondsOf(run, Date.now())) : t('dag.grid.notStarted'),
  });
}
