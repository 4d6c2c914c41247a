import { useQuery } from '@tanstack/react-query';
import { query } from '@/api/queries';
import { EmptyState } from '@/components/EmptyState';
import { Pending } from '@/components/Pending';
import { t } from '@/texts';
import classes from './Task.module.css';
import parts from './parts/parts.module.css';
import { pathOf } from './useTask';

type Props = { dagId: string; runId: string; taskId: string; mapIndex: number; attempt: number };

/** Template fields as they were filled in for a try. */
export function Rendered({ dagId, runId, taskId, mapIndex, attempt }: Props) {
  const path = { ...pathOf({ dagId, runId, taskId }), try_number: attempt };
  const rendered = useQuery(
    query('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries/{try_number}/rendered', {
      path,
      query: { map_index: mapIndex },
    }),
  );
  if (!rendered.data) return <Pending error={rendered.error} retry={() => void rendered.refetch()} />;
  const fields = Object.entries(rendered.data.fields);
  if (fields.length === 0) {
    return (
      <div className="panel">
        <EmptyState
          title={t('task.rendered.empty')}
          command={'BashOperator(task_id="say", bash_command="echo {{ ds }}")'}
        >
          {t('task.rendered.empty.text')}
        </EmptyState>
      </div>
    );
  }
  return (
    <div className={`panel ${classes.fields}`}>
      {fields.map(([name, value]) => (
        <section key={name} className={classes.field}>
          <h3>{name}</h3>
          <pre className={parts.pre} tabIndex={0}>
            {value}
          </pre>
        </section>
      ))}
      <span className="dim">{t('task.rendered.masked')}</span>
    </div>
  );
}
