/** A task of a run: the one instance that it is, or, where it is mapped, its instances. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { query } from '@/api/queries';
import { EmptyState } from '@/components/EmptyState';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import { crumbsOf } from './crumbs';
import { Instance } from './Instance';
import { Instances } from './Instances';
import { useTrueRun } from './useTask';

type Props = { dagId: string; runId: string; taskId: string; tab?: string };

export default function TaskPage(props: Props) {
  const [url] = useUrlState();
  const given = url.get('map_index');
  const mapIndex = given !== null && /^\d+$/.test(given) ? Number(given) : null;
  return mapIndex === null ? <Task {...props} /> : <Instance key={mapIndex} {...props} mapIndex={mapIndex} />;
}

function Task(props: Props) {
  const { dagId, runId, taskId } = props;
  const first = useQuery(
    query('/dags/{dag_id}/runs/{run_id}/tasks', {
      path: { dag_id: dagId, run_id: runId },
      query: { task_id: taskId, limit: 1 },
    }),
  );
  const ti = first.data?.items[0];
  useTrueRun(runId, ti?.run_id);
  const crumbs = useMemo(() => crumbsOf(dagId, runId), [dagId, runId]);
  if (!first.data || !ti) {
    return (
      <>
        <PageHeader title={taskId} crumbs={crumbs} />
        {first.data ? (
          <EmptyState title={t('task.missing', { task: taskId })}>{t('task.missing.text')}</EmptyState>
        ) : (
          <Pending error={first.error} retry={() => void first.refetch()} />
        )}
      </>
    );
  }
  return ti.map_index === -1 ? <Instance {...props} mapIndex={-1} known={ti} /> : <Instances {...props} />;
}
