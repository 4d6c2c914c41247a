/** What is known about the task or group that is chosen in the graph. */
import { Button, CloseButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useContext, useMemo } from 'react';
import { query } from '@/api/queries';
import type { Structure, TaskNode } from '@/api/schema';
import { Duration } from '@/components/Duration';
import { SafeText } from '@/components/SafeText';
import { StateBadge } from '@/components/StateBadge';
import { Time } from '@/components/Time';
import { formatDuration } from '@/components/time';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { STATE_ORDER, isFinished } from '@/states/states';
import { t } from '@/texts';
import classes from './Graph.module.css';
import { FoldContext } from './nodes';
import { useCounts } from './states';
import { nodeOfGroup, nodeOfTask } from './visible';

type Props = {
  dagId: string;
  runId: string | null;
  structure: Structure;
  selected: string;
  onChoose: (taskId: string | null) => void;
  onClose: () => void;
};

export function Panel(props: Props) {
  const { structure, selected } = props;
  const task = structure.tasks.find((each) => nodeOfTask(each.task_id) === selected);
  const group = structure.groups.find((each) => nodeOfGroup(each.group_id) === selected);
  if (!task && !group) return null;
  const name = task ? (task.display_name ?? task.task_id) : (group!.display_name ?? group!.group_id);
  return (
    <aside className={classes.panel} aria-label={name}>
      <div className={classes.panelHead}>
        <h2>{name}</h2>
        <CloseButton size="sm" aria-label={t('shared.close')} onClick={props.onClose} />
      </div>
      {task ? (
        <TaskFacts {...props} task={task} />
      ) : (
        <GroupFacts {...props} groupId={group!.group_id} tooltip={group!.tooltip} />
      )}
    </aside>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function States({ taskIds }: { taskIds: readonly string[] }) {
  const counts = useCounts(taskIds);
  const several = taskIds.length > 1 || Object.values(counts).some((count) => count > 1);
  return (
    <div className={classes.states}>
      {STATE_ORDER.filter((state) => (counts[state] ?? 0) > 0).map((state) => (
        <StateBadge key={state} state={state} count={several ? counts[state]! : undefined} />
      ))}
    </div>
  );
}

function TaskFacts({ dagId, runId, structure, task, onChoose }: Props & { task: TaskNode }) {
  const ids = useMemo(() => [task.task_id], [task]);
  const counts = useCounts(ids);
  const path = { dag_id: dagId, run_id: runId ?? '', task_id: task.task_id };
  const state = Object.keys(counts).join();
  // The state is in the key, so that the times are asked for again when it changes.
  const wanted = query('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}', { path });
  const instance = useQuery({
    ...wanted,
    queryKey: [...wanted.queryKey, state],
    enabled: runId !== null && !task.mapped && state !== '',
  }).data;
  const downstream = useMemo(
    () => structure.tasks.filter((each) => each.upstream.includes(task.task_id)).map((each) => each.task_id),
    [structure, task],
  );
  return (
    <>
      <States taskIds={ids} />
      {runId && state !== '' && (
        <Button component={Link} to={to.task(dagId, runId, task.task_id)} variant="light" fullWidth mt={8}>
          {t(task.mapped ? 'dag.graph.openTasks' : 'dag.graph.openTask')}
        </Button>
      )}
      <dl className={classes.facts}>
        {instance?.started_at && (
          <Fact name={t('dag.grid.tip.started')}>
            <Time at={instance.started_at} />
          </Fact>
        )}
        {instance?.started_at && (
          <Fact name={t('dag.grid.tip.took')}>
            <Duration from={instance.started_at} until={instance.ended_at} running={!isFinished(instance.state)} />
          </Fact>
        )}
        {instance && instance.try_number > 0 && <Fact name={t('dag.grid.tip.try')}>{instance.try_number}</Fact>}
        <Fact name={t('dag.task.operator')}>{task.operator}</Fact>
        <Fact name={t('dag.task.rule')}>{task.trigger_rule}</Fact>
        <Fact name={t('dag.task.pool')}>
          {task.pool_slots === 1 ? task.pool : t('dag.task.slots', { pool: task.pool, count: task.pool_slots })}
        </Fact>
        <Fact name={t('dag.task.queue')}>{task.queue}</Fact>
        {task.executor && <Fact name={t('dag.task.executor')}>{task.executor}</Fact>}
        <Fact name={t('dag.task.retries')}>
          {task.retries === 0
            ? t('dag.task.noRetries')
            : t('dag.task.retriesAfter', { count: task.retries, delay: formatDuration(task.retry_delay) })}
        </Fact>
        {task.execution_timeout != null && (
          <Fact name={t('dag.task.timeout')}>{formatDuration(task.execution_timeout)}</Fact>
        )}
        <Fact name={t('dag.task.priority')}>{task.priority_weight}</Fact>
        <Fact name={t('dag.owner')}>{task.owner}</Fact>
        {task.upstream.length > 0 && (
          <Fact name={t('dag.task.upstream')}>
            <Names ids={task.upstream} onChoose={onChoose} />
          </Fact>
        )}
        {downstream.length > 0 && (
          <Fact name={t('dag.task.downstream')}>
            <Names ids={downstream} onChoose={onChoose} />
          </Fact>
        )}
      </dl>
      {task.doc && <SafeText text={task.doc} />}
    </>
  );
}

const NAMED = 30;

function Names({ ids, onChoose }: { ids: readonly string[]; onChoose: (taskId: string) => void }) {
  return (
    <ul className={classes.names}>
      {ids.slice(0, NAMED).map((id) => (
        <li key={id}>
          <button type="button" onClick={() => onChoose(id)}>
            {id}
          </button>
        </li>
      ))}
      {ids.length > NAMED && <li className="dim">{t('confirm.andMore', { count: ids.length - NAMED })}</li>}
    </ul>
  );
}

function GroupFacts({ structure, groupId, tooltip }: Props & { groupId: string; tooltip: string }) {
  const fold = useContext(FoldContext);
  const ids = useMemo(() => {
    const inside = new Set([groupId]);
    for (let size = 0; size !== inside.size;) {
      size = inside.size;
      for (const group of structure.groups) if (group.parent && inside.has(group.parent)) inside.add(group.group_id);
    }
    return structure.tasks.filter((task) => task.group && inside.has(task.group)).map((task) => task.task_id);
  }, [structure, groupId]);
  return (
    <>
      <p className="dim">{t('dag.group.tasks', { count: ids.length })}</p>
      {tooltip && <p>{tooltip}</p>}
      <States taskIds={ids} />
      <Button variant="light" fullWidth mt={8} onClick={() => fold(groupId)}>
        {t('dag.group.toggle')}
      </Button>
    </>
  );
}
