/** The grid of a dag: runs by tasks, with filters, live. */
import { Button, NativeSelect } from '@mantine/core';
import { useCallback, useMemo, useState } from 'react';
import { useMay } from '@/api/session';
import { EmptyState } from '@/components/EmptyState';
import { Filters, SearchFilter, StateFilter } from '@/components/Filters';
import { Pending } from '@/components/Pending';
import { useUrlState } from '@/routing/router';
import { RUN_STATES } from '@/states/states';
import { t } from '@/texts';
import type { TabProps } from '../DagPage';
import { type Target, TouchDialog } from '../TouchDialog';
import { useFolded } from '../useFolded';
import { Legend } from './Legend';
import { Matrix } from './Matrix';
import { typeWord } from './labels';
import { type Row, rowsOf } from './rows';
import { useGrid } from './useGrid';

/** Runs that one request may clear or mark. */
const MOST_RUNS = 1_000;
const NONE: ReadonlySet<string> = new Set();
const TYPES = ['scheduled', 'manual', 'backfill', 'asset_triggered'];

export default function GridTab({ dagId, dag }: TabProps) {
  const [url, setUrl] = useUrlState();
  const filter = { runType: url.get('type'), state: url.get('state') };
  const { board, tick, painters, parts } = useGrid(dagId, filter);
  const [folded, fold, setFolded] = useFolded(NONE);
  const search = url.get('search') ?? '';
  const grid = board?.grid;
  const rows = useMemo(() => (grid ? rowsOf(grid.tasks, grid.groups, folded, search) : []), [grid, folded, search]);
  const [target, setTarget] = useState<Target | null>(null);
  const may = useMay()('editor', dagId) && dag.can_edit;
  const touch = useCallback(
    (kind: Target['kind'], row: Row | null, runId: string | null) => {
      if (!board) return;
      const runs = runId === null ? board.columns.slice(0, MOST_RUNS).map((column) => column.run.run_id) : [runId];
      const tasks = row && row.tasks.map((at) => board.grid.tasks[at]!.task_id);
      setTarget({ kind, runs, tasks, what: [row?.id, runId].filter(Boolean).join(' · ') });
    },
    [board],
  );
  const { fetchNextPage, isFetchingNextPage } = parts;
  const loadOlder = useCallback(() => {
    if (!isFetchingNextPage) void fetchNextPage();
  }, [fetchNextPage, isFetchingNextPage]);
  if (!board) return <Pending error={parts.error} retry={() => void parts.refetch()} />;
  const groups = board.grid.groups.map((group) => group.group_id);
  const filtered = Boolean(filter.runType || filter.state);
  return (
    <>
      <Filters names={['type', 'state', 'search']} after={<Legend />}>
        <SearchFilter label={t('dag.grid.search')} width={200} />
        <NativeSelect
          aria-label={t('dag.runs.type')}
          value={filter.runType ?? ''}
          onChange={(event) => setUrl({ type: event.currentTarget.value })}
          data={[
            { value: '', label: t('dag.runs.anyType') },
            ...TYPES.map((value) => ({ value, label: typeWord(value) })),
          ]}
        />
        <StateFilter states={RUN_STATES} />
        {groups.length > 0 && (
          <Button variant="default" onClick={() => setFolded(folded.size > 0 ? [] : groups)}>
            {folded.size > 0 ? t('dag.groups.open') : t('dag.groups.fold')}
          </Button>
        )}
      </Filters>
      {board.columns.length === 0 ? (
        <EmptyState
          title={filtered ? t('dag.runs.noneFit') : t('dag.grid.empty')}
          command={filtered ? undefined : `airloom dags trigger ${dagId}`}
        >
          {filtered ? null : t('dag.grid.empty.text')}
        </EmptyState>
      ) : rows.length === 0 ? (
        <EmptyState title={t('dag.grid.noTask', { text: search })} />
      ) : (
        <Matrix
          dagId={dagId}
          board={board}
          tick={tick}
          rows={rows}
          painters={painters}
          older={parts.hasNextPage}
          loadOlder={loadOlder}
          fold={fold}
          touch={may ? touch : undefined}
        />
      )}
      {target && <TouchDialog dagId={dagId} target={target} onClose={() => setTarget(null)} />}
    </>
  );
}
