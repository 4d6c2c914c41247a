/** The runs of all dags, newest first. */
import { NativeSelect, Select } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { keyOf, pages, query } from '@/api/queries';
import type { Run } from '@/api/schema';
import { Duration } from '@/components/Duration';
import { EmptyState } from '@/components/EmptyState';
import { Filters, SearchFilter, StateFilter } from '@/components/Filters';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { StateBadge } from '@/components/StateBadge';
import { StateCounts } from '@/components/StateCounts';
import { Time } from '@/components/Time';
import { type Column, VirtualTable } from '@/components/VirtualTable';
import { useLiveQueries } from '@/live/live';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { useUrlState } from '@/routing/router';
import { RUN_STATES, isFinished } from '@/states/states';
import { t } from '@/texts';
import classes from './RunsPage.module.css';

const TYPES = ['scheduled', 'manual', 'backfill', 'asset_triggered'] as const;
const FILTERS = ['dag', 'state', 'type', 'search'];

const COLUMNS: readonly Column<Run>[] = [
  { key: 'state', head: t('runs.state'), width: '104px', cell: (run) => <StateBadge state={run.state} /> },
  {
    key: 'dag',
    head: t('runs.dag'),
    width: 'minmax(140px, 1fr)',
    cell: (run) => (
      <Link to={to.dag(run.dag_id)} className={`cut ${classes.dag}`} title={run.dag_id}>
        {run.dag_id}
      </Link>
    ),
  },
  {
    key: 'run',
    head: t('runs.run'),
    width: 'minmax(270px, 2fr)',
    cell: (run) => (
      <Link to={to.run(run.dag_id, run.run_id)} className="cut" title={run.run_id}>
        {run.run_id}
      </Link>
    ),
  },
  { key: 'due', head: t('runs.due'), width: '132px', cell: (run) => <Time at={run.run_after} /> },
  { key: 'started', head: t('runs.started'), width: '96px', cell: (run) => <Time at={run.started_at} relative /> },
  {
    key: 'duration',
    head: t('runs.duration'),
    width: '96px',
    align: 'right',
    cell: (run) => <Duration from={run.started_at} until={run.ended_at} running={!isFinished(run.state)} />,
  },
  { key: 'tasks', head: t('runs.tasks'), width: '150px', cell: (run) => <StateCounts counts={run.counts} /> },
];

export default function RunsPage() {
  const [url, setUrl] = useUrlState();
  const state = RUN_STATES.find((each) => each === url.get('state'));
  const type = TYPES.find((each) => each === url.get('type'));
  const asked = {
    dag_id: url.get('dag') ?? undefined,
    state: state ? [state] : undefined,
    run_type: type,
    run_id_prefix: url.get('search') ?? undefined,
    counts: true,
    limit: 60,
  };
  const list = useInfiniteQuery({ ...pages('/runs', { query: asked }), placeholderData: keepPreviousData });
  useLiveQueries({ kinds: ['runs'], dagId: asked.dag_id }, [keyOf('/runs')], 700);
  useLiveQueries({ kinds: ['tis'], dagId: asked.dag_id }, [keyOf('/runs')], 2_500);
  const runs = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);
  const filtered = FILTERS.some((name) => url.get(name));
  return (
    <>
      <PageHeader title={t('runs.title')} />
      <Filters names={FILTERS}>
        <StateFilter states={RUN_STATES} />
        <DagFilter chosen={url.get('dag')} onChange={(dag) => setUrl({ dag })} />
        <NativeSelect
          aria-label={t('runs.type')}
          value={type ?? ''}
          onChange={(event) => setUrl({ type: event.currentTarget.value })}
          data={[
            { value: '', label: t('runs.allTypes') },
            ...TYPES.map((each) => ({ value: each, label: t(`runType.${each}`) })),
          ]}
        />
        <SearchFilter label={t('runs.search')} width={210} />
      </Filters>
      {!list.data ? (
        <Pending error={list.error} retry={() => void list.refetch()} />
      ) : runs.length === 0 && !list.hasNextPage ? (
        filtered ? (
          <EmptyState title={t('runs.none')} />
        ) : (
          <div className="panel">
            <EmptyState title={t('runs.empty')} command={t('runs.empty.command')}>
              {t('runs.empty.text')}
            </EmptyState>
          </div>
        )
      ) : (
        <>
          <VirtualTable
            label={t('runs.title')}
            items={runs}
            columns={COLUMNS}
            keyOf={(run) => String(run.id)}
            rowHeight={38}
            more={list.hasNextPage}
            loading={list.isFetchingNextPage}
            loadMore={list.fetchNextPage}
          />
          <p className={classes.count}>
            {list.hasNextPage ? t('runs.countMore', { count: runs.length }) : t('runs.count', { count: runs.length })}
          </p>
        </>
      )}
    </>
  );
}

/** One dag, found by typing a part of its id. */
function DagFilter({ chosen, onChange }: { chosen: string | null; onChange: (dag: string | null) => void }) {
  const [text, setText] = useState(chosen ?? '');
  const [search] = useDebouncedValue(text === chosen ? '' : text.trim(), 150);
  const dags = useQuery({
    ...query('/dags', { query: { search: search || undefined, limit: 30 } }),
    placeholderData: keepPreviousData,
  });
  const ids = (dags.data?.items ?? []).map((dag) => dag.dag_id);
  return (
    <Select
      w={200}
      searchable
      clearable
      placeholder={t('runs.dagFilter')}
      aria-label={t('runs.dagFilter')}
      data={chosen && !ids.includes(chosen) ? [chosen, ...ids] : ids}
      filter={({ options }) => options}
      value={chosen}
      onChange={onChange}
      searchValue={text}
      onSearchChange={setText}
      clearButtonProps={{ 'aria-label': t('shared.clear') }}
    />
  );
}
