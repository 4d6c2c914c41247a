import { Switch } from '@mantine/core';
import { type InfiniteData, useMutation, useQueryClient } from '@tanstack/react-query';
import { api } from '@/api/client';
import { keyOf } from '@/api/queries';
import { toastError } from '@/components/toasts';
import { t } from '@/texts';

type Paused = { dag_id: string; paused: boolean; active?: boolean; can_edit?: boolean };

/** Switches a dag on or off (paused). It shows the wish at once, and goes back if the server refuses. */
export function PauseSwitch({ dag }: { dag: Paused }) {
  const client = useQueryClient();
  const show = (paused: boolean) => {
    client.setQueriesData<InfiniteData<{ items: Paused[] }>>(
      { queryKey: keyOf('/dags'), predicate: (query) => query.queryKey.at(-1) === 'pages' },
      (data) =>
        data && {
          ...data,
          pages: data.pages.map((page) => ({
            ...page,
            items: page.items.map((each) => (each.dag_id === dag.dag_id ? { ...each, paused } : each)),
          })),
        },
    );
    client.setQueryData<Paused>(
      keyOf('/dags/{dag_id}', { path: { dag_id: dag.dag_id } }),
      (data) => data && { ...data, paused },
    );
  };
  const change = useMutation({
    mutationFn: (paused: boolean) => api.patch('/dags/{dag_id}', { path: { dag_id: dag.dag_id }, body: { paused } }),
    onMutate: show,
    onError: (error) => {
      show(dag.paused);
      toastError(error);
    },
    onSettled: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: keyOf('/dags') }),
        client.invalidateQueries({ queryKey: keyOf('/dags/{dag_id}', { path: { dag_id: dag.dag_id } }) }),
      ]),
  });
  const label = dag.paused ? t('dags.isPaused', { dag: dag.dag_id }) : t('dags.isOn', { dag: dag.dag_id });
  return (
    <Switch
      size="xs"
      checked={!dag.paused}
      disabled={dag.can_edit === false || dag.active === false}
      onChange={(event) => change.mutate(!event.currentTarget.checked)}
      aria-label={label}
      title={label}
    />
  );
}
