/** The runs of a dag: filtered, counted by state, and chosen to be cleared, marked or cancelled together. */
import { Button, Checkbox, NativeSelect } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { api } from '@/api/client';
import { keyOf, pages } from '@/api/queries';
import type { Run, Touched } from '@/api/schema';
import { useMay } from '@/api/session';
import { ConfirmTouch } from '@/components/ConfirmTouch';
import { Duration } from '@/components/Duration';
import { EmptyState } from '@/components/EmptyState';
import { Filters, SearchFilter, StateFilter } from '@/components/Filters';
import { Pending } from '@/components/Pending';
import { StateBadge } from '@/components/StateBadge';
import { Time } from '@/components/Time';
import { type Column, VirtualTable } from '@/components/VirtualTable';
import { toastDone } from '@/components/toasts';
import { useLiveQueries } from '@/live/live';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { useUrlState } from '@/routing/router';
import { RUN_STATES, isFinished } from '@/states/states';
import { t } from '@/texts';
import type { TabProps } from '../DagPage';
import { type Target, TouchDialog } from '../TouchDialog';
import { CountsBar } from '../CountsBar';
import { typeWord } from '../grid/labels';
import classes from './Runs.module.css';

const TYPES = ['scheduled', 'manual', 'backfill', 'asset_triggered'];
const DAY = 86_400_000;

export default function RunsTab({ dagId, dag }: TabProps) {
  const [url, setUrl] = useUrlState();
  const day = url.get('day');
  const path = { dag_id: dagId };
  const state = url.get('state');
  const list = useInfiniteQuery(
    pages('/dags/{dag_id}/runs', {
      path,
      query: {
        limit: 100,
        counts: true,
        run_type: url.get('type') as Run['run_type'] | null,
        state: state ? [state as Run['state']] : [],
        run_id_prefix: url.get('search') ?? '',
        ...(day ? { after: `${day}T00:00:00Z`, before: new Date(Date.parse(day) + DAY).toISOString() } : {}),
      },
    }),
  );
  useLiveQueries({ dagId, kinds: ['runs', 'tis'] }, [keyOf('/dags/{dag_id}/runs', { path })], 1_500);
  const runs = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const may = useMay()('editor', dagId) && dag.can_edit;
  const picked = runs.filter((run) => chosen.has(run.run_id));
  const columns = useMemo(() => columnsOf(dagId, may, runs, chosen, setChosen), [dagId, may, runs, chosen]);
  const filtered = ['type', 'state', 'search', 'day'].some((name) => url.get(name));

  return (
    <>
      <Filters names={['type', 'state', 'search', 'day']}>
        <SearchFilter label={t('dag.runs.search')} width={220} />
        <NativeSelect
          aria-label={t('dag.runs.type')}
          value={url.get('type') ?? ''}
          onChange={(event) => setUrl({ type: event.currentTarget.value })}
          data={[
            { value: '', label: t('dag.runs.anyType') },
            ...TYPES.map((value) => ({ value, label: typeWord(value) })),
          ]}
        />
        <input
          type="date"
          className={classes.day}
          aria-label={t('dag.runs.day')}
          value={day ?? ''}
          onChange={(event) => setUrl({ day: event.currentTarget.value })}
        />
        <StateFilter states={RUN_STATES} />
      </Filters>
      {may && picked.length > 0 && <Bulk dagId={dagId} runs={picked} onDone={() => setChosen(new Set())} />}
      {!list.data ? (
        <Pending error={list.error} retry={() => void list.refetch()} />
      ) : runs.length === 0 && !list.hasNextPage ? (
        <EmptyState
          title={filtered ? t('dag.runs.noneFit') : t('dag.grid.empty')}
          command={filtered ? undefined : `airloom dags trigger ${dagId}`}
        >
          {filtered ? null : t('dag.grid.empty.text')}
        </EmptyState>
      ) : (
        <VirtualTable
          label={t('dag.runs.label', { dag: dagId })}
          items={runs}
          columns={columns}
          keyOf={(run) => run.run_id}
          more={list.hasNextPage}
          loading={list.isFetchingNextPage}
          loadMore={list.fetchNextPage}
        />
      )}
    </>
  );
}

function columnsOf(
  dagId: string,
  may: boolean,
  runs: readonly Run[],
  chosen: ReadonlySet<string>,
  choose: (ids: ReadonlySet<string>) => void,
): Column<Run>[] {
  const toggle = (runId: string) => {
    const next = new Set(chosen);
    if (!next.delete(runId)) next.add(runId);
    choose(next);
  };
  const all = runs.length > 0 && runs.every((run) => chosen.has(run.run_id));
  const box: Column<Run> = {
    key: 'chosen',
    width: '18px',
    head: (
      <Checkbox
        aria-label={t('dag.runs.chooseAll')}
        checked={all}
        indeterminate={!all && chosen.size > 0}
        onChange={() => choose(all ? new Set() : new Set(runs.map((run) => run.run_id)))}
      />
    ),
    cell: (run) => (
      <Checkbox
        aria-label={t('dag.runs.choose', { run: run.run_id })}
        checked={chosen.has(run.run_id)}
        onChange={() => toggle(run.run_id)}
      />
    ),
  };
  return [
    ...(may ? [box] : []),
    { key: 'state', head: t('dag.runs.state'), width: '92px', cell: (run) => <StateBadge state={run.state} /> },
    {
      key: 'run',
      head: t('dag.run'),
      width: 'minmax(200px, 2fr)',
      cell: (run) => (
        <Link to={to.run(dagId, run.run_id)} className="cut" title={run.run_id}>
          {run.run_id}
        </Link>
      ),
    },
    { key: 'type', head: t('dag.runs.type'), width: '90px', cell: (run) => typeWord(run.run_type) },
    { key: 'due', head: t('dag.grid.tip.due'), width: '145px', cell: (run) => <Time at={run.run_after} /> },
    {
      key: 'took',
      head: t('dag.grid.tip.took'),
      width: '95px',
      align: 'right',
      cell: (run) => <Duration from={run.started_at} until={run.ended_at} running={!isFinished(run.state)} />,
    },
    {
      key: 'tasks',
      head: t('dag.grid.tasks'),
      width: 'minmax(150px, 1.2fr)',
      cell: (run) => run.counts && <CountsBar counts={run.counts} />,
    },
    { key: 'version', head: t('dag.grid.tip.version'), width: '56px', align: 'right', cell: (run) => run.version },
    {
      key: 'by',
      head: t('dag.runs.by'),
      width: '90px',
      wide: true,
      cell: (run) => (
        <span className="cut dim" title={run.note?.text}>
          {run.triggered_by ?? ''}
        </span>
      ),
    },
  ];
}

type Doing = 'clear' | 'mark' | 'cancel' | null;

function Bulk({ dagId, runs, onDone }: { dagId: string; runs: readonly Run[]; onDone: () => void }) {
  const [doing, setDoing] = useState<Doing>(null);
  const ids = runs.map((run) => run.run_id);
  const unfinished = runs.filter((run) => !isFinished(run.state)).map((run) => run.run_id);
  const what = t('dag.runs.count', { count: ids.length });
  const target: Target | null =
    doing === 'clear' || doing === 'mark' ? { kind: doing, runs: ids, tasks: null, what } : null;
  return (
    <div className={classes.bulk} role="toolbar" aria-label={t('dag.runs.chosen', { count: ids.length })}>
      <strong>{t('dag.runs.chosen', { count: ids.length })}</strong>
      <Button variant="default" onClick={() => setDoing('clear')}>
        {t('dag.clear')}
      </Button>
      <Button variant="default" onClick={() => setDoing('mark')}>
        {t('dag.mark')}
      </Button>
      <Button variant="default" disabled={unfinished.length === 0} onClick={() => setDoing('cancel')}>
        {t('dag.cancel')}
      </Button>
      <Button variant="subtle" color="gray" onClick={onDone}>
        {t('dag.runs.chooseNone')}
      </Button>
      {target && <TouchDialog dagId={dagId} target={target} onClose={() => setDoing(null)} />}
      <ConfirmTouch
        opened={doing === 'cancel'}
        onClose={() => setDoing(null)}
        title={t('dag.cancel.title', { what: t('dag.runs.count', { count: unfinished.length }) })}
        action={t('dag.cancel')}
        dryRun={{ key: [dagId, 'cancel', unfinished], ask: (signal) => whatCancelTouches(dagId, unfinished, signal) }}
        act={async () => {
          for (const run_id of unfinished)
            await api.post('/dags/{dag_id}/runs/{run_id}/cancel', { path: { dag_id: dagId, run_id } });
          toastDone(t('dag.cancel.done', { count: unfinished.length }));
        }}
      />
    </div>
  );
}

/** A cancelled run ends as failed: the same task instances as if it were marked so. */
async function whatCancelTouches(dagId: string, runIds: readonly string[], signal: AbortSignal): Promise<Touched> {
  const all: Touched = { dry_run: true, total: 0, instances: [] };
  for (const run_id of runIds) {
    const one = await api.post('/dags/{dag_id}/runs/{run_id}/mark', {
      path: { dag_id: dagId, run_id },
      body: { state: 'failed', dry_run: true },
      signal,
    });
    all.total += one.total;
    all.instances.push(...one.instances);
  }
  return all;
}
