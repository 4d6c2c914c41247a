/** One task instance: its tries, why it waits, its log, and what it left. */
import { ActionIcon, Button } from '@mantine/core';
import { IconChevronLeft, IconChevronRight, IconNote } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Suspense, lazy, useMemo, useState } from 'react';
import { api } from '@/api/client';
import { keyOf, query } from '@/api/queries';
import type { TaskInstance, Try } from '@/api/schema';
import { useMay } from '@/api/session';
import { Duration } from '@/components/Duration';
import { EmptyState } from '@/components/EmptyState';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { StateBadge } from '@/components/StateBadge';
import { StateIcon } from '@/components/StateIcon';
import { TabLinks } from '@/components/TabLinks';
import { Time } from '@/components/Time';
import { Link } from '@/routing/Link';
import { type TaskTab, to } from '@/routing/paths';
import { useUrlState } from '@/routing/router';
import { isFinished, wordOf } from '@/states/states';
import { t } from '@/texts';
import { Details } from './Details';
import classes from './Task.module.css';
import { crumbsOf } from './crumbs';
import { Rendered } from './Rendered';
import { Tries } from './Tries';
import { XComs } from './XComs';
import { Cause, signalName } from './parts/Cause';
import { Facts } from './parts/Facts';
import { Note } from './parts/Note';
import { TaskActions } from './parts/TaskActions';
import { Why, waits } from './parts/Why';
import { pathOf, useLiveTask, useTrueRun } from './useTask';

const LogViewer = lazy(() => import('./log/LogViewer'));
const TABS: readonly TaskTab[] = ['log', 'xcom', 'rendered', 'tries', 'details'];

type Props = { dagId: string; runId: string; taskId: string; tab?: string; mapIndex: number; known?: TaskInstance };

export function Instance({ dagId, runId, taskId, tab, mapIndex, known }: Props) {
  const may = useMay();
  const client = useQueryClient();
  const [url] = useUrlState();
  const [writing, setWriting] = useState(false);
  const path = pathOf({ dagId, runId, taskId });
  const asked = { path, query: { map_index: mapIndex } };
  const one = useQuery({ ...query('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}', asked), placeholderData: known });
  const history = useQuery(query('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries', asked));
  useLiveTask({ dagId, runId, taskId }, mapIndex);
  useTrueRun(runId, one.data?.run_id);
  const crumbs = useMemo(
    () => [...crumbsOf(dagId, runId), ...(mapIndex >= 0 ? [{ label: taskId, to: to.task(dagId, runId, taskId) }] : [])],
    [dagId, runId, taskId, mapIndex],
  );
  const ti = one.data;
  const tries = history.data;
  const title = mapIndex >= 0 ? `${taskId}[${mapIndex}]` : taskId;
  if (!ti || !tries) {
    const error = one.error ?? history.error;
    return (
      <>
        <PageHeader title={title} crumbs={crumbs} />
        <Pending error={error} retry={() => void Promise.all([one.refetch(), history.refetch()])} />
      </>
    );
  }
  const wanted = Number(url.get('try'));
  const shown = tries.find((each) => each.try_number === wanted) ?? tries.at(-1);
  const last = shown === tries.at(-1);
  const current: TaskTab = TABS.includes(tab as TaskTab) ? (tab as TaskTab) : 'log';
  const attempt = last ? undefined : shown?.try_number;
  const links = TABS.map((name) => ({
    name,
    label: t(`task.tab.${name}`),
    to: to.task(dagId, runId, taskId, { mapIndex, attempt, tab: name === 'log' ? undefined : name }),
    count: name === 'tries' && tries.length > 1 ? tries.length : undefined,
  }));
  const saveNote = (text: string) =>
    api.put('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/note', {
      path,
      query: { map_index: mapIndex },
      body: { text },
    });
  return (
    <div className={classes.page}>
      <PageHeader
        title={title}
        crumbs={crumbs}
        after={
          <>
            <StateBadge state={ti.state} />
            {mapIndex >= 0 && <Neighbours dagId={dagId} runId={runId} taskId={taskId} mapIndex={mapIndex} tab={tab} />}
          </>
        }
        actions={
          <>
            {!ti.note && may('editor', dagId) && (
              <Button
                variant="default"
                leftSection={<IconNote size={14} aria-hidden />}
                onClick={() => setWriting(true)}
              >
                {t('task.note.add')}
              </Button>
            )}
            <TaskActions
              dagId={dagId}
              runId={runId}
              taskId={taskId}
              mapIndex={mapIndex}
              mapped={mapIndex >= 0}
              state={ti.state}
            />
          </>
        }
      />
      {waits(ti.state) && <Why ti={ti} />}
      <Note
        note={ti.note}
        mayEdit={may('editor', dagId)}
        writing={writing}
        onWriting={setWriting}
        save={saveNote}
        onSaved={() =>
          void client.invalidateQueries({ queryKey: keyOf('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}', { path }) })
        }
      />
      {shown && (
        <section className={`panel ${classes.try}`} aria-label={t('task.tries')}>
          {tries.length > 1 && (
            <TryStrip
              tries={tries}
              shown={shown}
              dagId={dagId}
              runId={runId}
              taskId={taskId}
              mapIndex={mapIndex}
              tab={tab}
            />
          )}
          <TryFacts of={shown} ti={ti} />
        </section>
      )}
      {shown && <Cause of={shown} retryAt={last && ti.state === 'up_for_retry' ? ti.retry_at : null} />}
      <TabLinks links={links} current={current} label={t('task.tabs')} />
      {current === 'log' &&
        (shown ? (
          <Suspense fallback={<Pending />}>
            <LogViewer
              key={shown.try_number}
              of={{ dagId, runId, taskId, mapIndex, attempt: shown.try_number }}
              fromEnd={!shown.ended_at || shown.state === 'failed' || shown.state === 'up_for_retry'}
              live={!shown.ended_at}
            />
          </Suspense>
        ) : (
          <NoTry state={ti.state} />
        ))}
      {current === 'xcom' && <XComs dagId={dagId} runId={runId} taskId={taskId} mapIndex={mapIndex} />}
      {current === 'rendered' &&
        (shown ? (
          <Rendered dagId={dagId} runId={runId} taskId={taskId} mapIndex={mapIndex} attempt={shown.try_number} />
        ) : (
          <NoTry state={ti.state} />
        ))}
      {current === 'tries' &&
        (tries.length ? <Tries tries={tries} of={{ dagId, runId, taskId, mapIndex }} /> : <NoTry state={ti.state} />)}
      {current === 'details' && <Details ti={ti} />}
    </div>
  );
}

function NoTry({ state }: { state: string }) {
  return (
    <div className="panel">
      <EmptyState title={t('task.tries.none')}>
        {isFinished(state) ? t('task.tries.none.ended') : t('task.tries.none.text')}
      </EmptyState>
    </div>
  );
}

type Place = { dagId: string; runId: string; taskId: string; mapIndex: number; tab?: string };

function Neighbours({ dagId, runId, taskId, mapIndex, tab }: Place) {
  const at = (index: number) => to.task(dagId, runId, taskId, { mapIndex: index, tab: tab as TaskTab | undefined });
  const next = useQuery({
    ...query('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}', {
      path: pathOf({ dagId, runId, taskId }),
      query: { map_index: mapIndex + 1 },
    }),
    retry: false,
  });
  return (
    <nav className={classes.neighbours} aria-label={t('task.instances.nav')}>
      {mapIndex > 0 && (
        <ActionIcon
          component={Link}
          to={at(mapIndex - 1)}
          variant="subtle"
          color="gray"
          size="sm"
          aria-label={t('task.instances.previous')}
        >
          <IconChevronLeft size={16} aria-hidden />
        </ActionIcon>
      )}
      <Link to={to.task(dagId, runId, taskId)}>{t('task.instances.list')}</Link>
      {next.data && (
        <ActionIcon
          component={Link}
          to={at(mapIndex + 1)}
          variant="subtle"
          color="gray"
          size="sm"
          aria-label={t('task.instances.next')}
        >
          <IconChevronRight size={16} aria-hidden />
        </ActionIcon>
      )}
    </nav>
  );
}

function TryStrip({
  tries,
  shown,
  dagId,
  runId,
  taskId,
  mapIndex,
  tab,
}: Place & { tries: readonly Try[]; shown: Try }) {
  return (
    <nav className={classes.strip} aria-label={t('task.tries')}>
      {tries.map((each) => (
        <Link
          key={each.try_number}
          to={to.task(dagId, runId, taskId, {
            mapIndex,
            attempt: each === tries.at(-1) ? undefined : each.try_number,
            tab: tab as TaskTab | undefined,
          })}
          replace
          aria-current={each === shown ? 'true' : undefined}
          aria-label={t('task.try.label', { number: each.try_number, state: wordOf(each.state) })}
        >
          <StateIcon state={each.state} size={13} title="" />
          {t('task.try', { number: each.try_number })}
        </Link>
      ))}
    </nav>
  );
}

function TryFacts({ of, ti }: { of: Try; ti: TaskInstance }) {
  const worker = useWorkerOf(of);
  return (
    <Facts
      facts={[
        { label: t('task.fact.queued'), value: <Time at={of.queued_at} /> },
        { label: t('task.fact.waited'), value: <Duration from={of.queued_at} until={of.started_at ?? of.ended_at} /> },
        { label: t('task.fact.started'), value: <Time at={of.started_at} /> },
        of.ended_at != null && { label: t('task.fact.ended'), value: <Time at={of.ended_at} /> },
        of.started_at != null && {
          label: of.ended_at ? t('task.fact.duration') : t('task.fact.running'),
          value: <Duration from={of.started_at} until={of.ended_at} />,
        },
        worker !== undefined && { label: t('task.fact.worker'), value: <Link to={to.workers()}>{worker}</Link> },
        of.host != null && { label: t('task.fact.host'), value: of.pid ? `${of.host} : ${of.pid}` : of.host },
        { label: t('task.fact.executor'), value: of.executor },
        { label: t('task.fact.queue'), value: <Queue name={of.queue} /> },
        ti.pool != null && { label: t('task.fact.pool'), value: <Link to={to.pool(ti.pool)}>{ti.pool}</Link> },
        ti.operator != null && { label: t('task.fact.operator'), value: <span className="mono">{ti.operator}</span> },
        of.exit_code != null && { label: t('task.fact.exit'), value: String(of.exit_code) },
        of.signal != null && { label: t('task.fact.signal'), value: signalName(of.signal) },
      ]}
    />
  );
}

function Queue({ name }: { name: string }) {
  return useMay()('viewer') ? <Link to={to.workers()}>{name}</Link> : <>{name}</>;
}

/** The name of the worker that has a try, or had it and is still known. */
function useWorkerOf(of: Try): string | undefined {
  const enabled = useMay()('viewer') && of.runner != null;
  const workers = useQuery({ ...query('/workers'), enabled, staleTime: 30_000 });
  return workers.data?.find((worker) => worker.remote && worker.id === of.runner)?.name;
}
