/** One run: what failed and why, what waits and for what, all of its tasks; and what can be done to it. */
import { Button } from '@mantine/core';
import { IconNote } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { api } from '@/api/client';
import { keyOf, query } from '@/api/queries';
import { useMay } from '@/api/session';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { StateBadge } from '@/components/StateBadge';
import { TabLinks } from '@/components/TabLinks';
import { useLiveQueries } from '@/live/live';
import { Note } from '@/pages/task/parts/Note';
import { type RunTab, to } from '@/routing/paths';
import { navigate } from '@/routing/router';
import { t } from '@/texts';
import { Failures } from './Failures';
import classes from './Run.module.css';
import { RunActions } from './RunActions';
import { RunDetails, RunFacts } from './RunFacts';
import { Tasks } from './Tasks';
import { Waiting } from './Waiting';

type Props = { dagId: string; runId: string; tab?: string };

export default function RunPage({ dagId, runId, tab }: Props) {
  const may = useMay();
  const client = useQueryClient();
  const [writing, setWriting] = useState(false);
  const path = { dag_id: dagId, run_id: runId };
  const one = useQuery(query('/dags/{dag_id}/runs/{run_id}', { path }));
  useLiveQueries({ dagId, runId }, [keyOf('/dags/{dag_id}/runs/{run_id}', { path })]);
  const crumbs = useMemo(
    () => [
      { label: t('shell.dags'), to: to.dags() },
      { label: dagId, to: to.dag(dagId) },
    ],
    [dagId],
  );
  const run = one.data;
  const current: RunTab = tab === 'details' ? 'details' : 'tasks';
  useEffect(() => {
    // `latest`, or the beginning of an id, stood for this run; from now on it is this one.
    if (run && run.run_id !== runId)
      navigate(to.run(dagId, run.run_id, tab as RunTab | undefined) + location.search, { replace: true });
  }, [run, dagId, runId, tab]);
  if (!run) {
    return (
      <>
        <PageHeader title={runId} crumbs={crumbs} />
        <Pending error={one.error} retry={() => void one.refetch()} />
      </>
    );
  }
  const mayEdit = may('editor', dagId);
  const links = [
    { name: 'tasks', label: t('run.tab.tasks'), to: to.run(dagId, runId) },
    { name: 'details', label: t('run.tab.details'), to: to.run(dagId, runId, 'details') },
  ];
  return (
    <div className={classes.page}>
      <PageHeader
        title={run.run_id}
        crumbs={crumbs}
        after={<StateBadge state={run.state} />}
        actions={
          mayEdit && (
            <>
              {!run.note && (
                <Button
                  variant="default"
                  leftSection={<IconNote size={14} aria-hidden />}
                  onClick={() => setWriting(true)}
                >
                  {t('task.note.add')}
                </Button>
              )}
              <RunActions run={run} />
            </>
          )
        }
      />
      <div className={`panel ${classes.facts}`}>
        <RunFacts run={run} />
      </div>
      <Note
        note={run.note}
        mayEdit={mayEdit}
        writing={writing}
        onWriting={setWriting}
        save={(text) => api.put('/dags/{dag_id}/runs/{run_id}/note', { path, body: { text } })}
        onSaved={() => void client.invalidateQueries({ queryKey: keyOf('/dags/{dag_id}/runs/{run_id}', { path }) })}
      />
      <Failures run={run} />
      <Waiting run={run} />
      <TabLinks links={links} current={current} label={t('run.tabs')} />
      {current === 'tasks' ? <Tasks run={run} /> : <RunDetails run={run} />}
    </div>
  );
}
