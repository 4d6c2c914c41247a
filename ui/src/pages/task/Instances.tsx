/** The instances of a mapped task: how many are in each state, and each of them. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { pages } from '@/api/queries';
import type { TaskInstance } from '@/api/schema';
import { Duration } from '@/components/Duration';
import { Filters, StateFilter } from '@/components/Filters';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { StateBadge } from '@/components/StateBadge';
import { Time } from '@/components/Time';
import { type Column, VirtualTable } from '@/components/VirtualTable';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import classes from './Task.module.css';
import { crumbsOf } from './crumbs';
import { causeWord } from './parts/Cause';
import { triesMade } from './parts/tries';
import { TaskActions } from './parts/TaskActions';
import { useLiveTask } from './useTask';

const STATES: readonly string[] = ['failed', 'running', 'up_for_retry', 'queued', 'scheduled', 'success'];

type Props = { dagId: string; runId: string; taskId: string };

export function Instances({ dagId, runId, taskId }: Props) {
  const [url] = useUrlState();
  const state = url.get('state');
  const path = { dag_id: dagId, run_id: runId };
  const list = useInfiniteQuery(
    pages('/dags/{dag_id}/runs/{run_id}/tasks', {
      path,
      query: { task_id: taskId, state: state ? [state as TaskInstance['state']] : [], limit: 200 },
    }),
  );
  useLiveTask({ dagId, runId, taskId }, null);
  const crumbs = useMemo(() => crumbsOf(dagId, runId), [dagId, runId]);
  const columns = useMemo(() => columnsOf(dagId, runId, taskId), [dagId, runId, taskId]);
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div className={classes.page}>
      <PageHeader
        title={taskId}
        crumbs={crumbs}
        actions={<TaskActions dagId={dagId} runId={runId} taskId={taskId} mapIndex={null} mapped />}
      />
      <div>
        <Filters names={['state']} after={list.data && t('task.instances.head', { count: items.length })}>
          <StateFilter states={STATES.includes(state ?? '') || !state ? STATES : [...STATES, state]} />
        </Filters>
        {!list.data ? (
          <Pending error={list.error} retry={() => void list.refetch()} />
        ) : (
          <VirtualTable
            label={t('task.tab.instances')}
            items={items}
            columns={columns}
            keyOf={(ti) => String(ti.map_index)}
            rowHeight={40}
            more={list.hasNextPage}
            loading={list.isFetchingNextPage}
            loadMore={list.fetchNextPage}
          />
        )}
        {list.data && items.length === 0 && <p className="dim">{t('task.instances.none')}</p>}
      </div>
    </div>
  );
}

function columnsOf(dagId: string, runId: string, taskId: string): Column<TaskInstance>[] {
  return [
    {
      key: 'index',
      head: t('task.instances.index'),
      width: '110px',
      cell: (ti) => (
        <Link to={to.task(dagId, runId, taskId, { mapIndex: ti.map_index })} className="mono">
          {t('task.index', { index: String(ti.map_index) })}
        </Link>
      ),
    },
    { key: 'state', head: t('task.instances.state'), width: '160px', cell: (ti) => <StateBadge state={ti.state} /> },
    { key: 'tries', head: t('task.instances.tries'), width: '60px', cell: (ti) => triesMade(ti) },
    { key: 'started', head: t('task.instances.started'), width: '170px', cell: (ti) => <Time at={ti.started_at} /> },
    {
      key: 'took',
      head: t('task.instances.took'),
      width: '110px',
      cell: (ti) => <Duration from={ti.started_at} until={ti.ended_at} running={ti.state === 'running'} />,
    },
    {
      key: 'why',
      head: t('task.instances.why'),
      width: 'minmax(160px, 1fr)',
      cell: (ti) => (
        <div className={classes.detail} title={ti.detail ?? undefined}>
          {[causeWord(ti.cause), ti.detail].filter(Boolean).join(': ')}
        </div>
      ),
    },
  ];
}
