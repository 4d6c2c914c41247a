/** How long the runs of a dag took, and chosen tasks in them. */
import { Checkbox, MultiSelect, NativeSelect } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { keyOf, query } from '@/api/queries';
import { EmptyState } from '@/components/EmptyState';
import { Pending } from '@/components/Pending';
import { useLiveQueries } from '@/live/live';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import type { TabProps } from '../DagPage';
import { Chart } from './Chart';

const MOST_TASKS = 6;
const SIZES = ['25', '50', '100', '200', '365'];

export default function DurationsTab({ dagId }: TabProps) {
  const [url, setUrl] = useUrlState();
  const tasks = (url.get('tasks') ?? '').split(',').filter(Boolean).slice(0, MOST_TASKS);
  const limit = Number(url.get('limit')) || 50;
  const path = { dag_id: dagId };
  const durations = useQuery({
    ...query('/dags/{dag_id}/durations', { path, query: { task_id: tasks, limit } }),
    placeholderData: keepPreviousData,
  });
  const structure = useQuery(query('/dags/{dag_id}/structure', { path }));
  useLiveQueries({ dagId, kinds: ['runs'] }, [keyOf('/dags/{dag_id}/durations', { path })], 2_000);
  const { data } = durations;
  if (!data) return <Pending error={durations.error} retry={() => void durations.refetch()} />;
  return (
    <Chart
      dagId={dagId}
      data={data}
      waiting={url.get('waiting') === '1'}
      empty={
        <EmptyState title={t('dag.grid.empty')} command={`airloom dags trigger ${dagId}`}>
          {t('dag.grid.empty.text')}
        </EmptyState>
      }
      controls={
        <>
          <MultiSelect
            aria-label={t('dag.durations.tasks')}
            placeholder={tasks.length === 0 ? t('dag.durations.tasks') : undefined}
            size="xs"
            w={420}
            maxValues={MOST_TASKS}
            searchable
            clearable
            limit={60}
            value={tasks}
            onChange={(ids) => setUrl({ tasks: ids.join(',') })}
            data={structure.data?.tasks.map((task) => task.task_id) ?? tasks}
          />
          <NativeSelect
            aria-label={t('dag.durations.limit')}
            value={String(limit)}
            onChange={(event) => setUrl({ limit: event.currentTarget.value })}
            data={SIZES.map((value) => ({ value, label: t('dag.durations.last', { count: Number(value) }) }))}
          />
          <Checkbox
            label={t('dag.durations.waiting')}
            checked={url.get('waiting') === '1'}
            onChange={(event) => setUrl({ waiting: event.currentTarget.checked ? '1' : null })}
          />
        </>
      }
    />
  );
}
