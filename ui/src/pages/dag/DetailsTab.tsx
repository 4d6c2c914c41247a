/** Everything that a dag's author set. */
import { type ReactNode } from 'react';
import { SafeText } from '@/components/SafeText';
import { Time } from '@/components/Time';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './Details.module.css';
import type { TabProps } from './DagPage';

export default function DetailsTab({ dag }: TabProps) {
  const facts: [string, ReactNode][] = [
    [t('dag.details.id'), <code>{dag.dag_id}</code>],
    [t('dag.owner'), dag.owner],
    [t('dag.details.tags'), dag.tags.length > 0 ? dag.tags.join(', ') : '–'],
    [t('dag.details.schedule'), dag.schedule],
    [t('dag.details.timezone'), dag.timezone],
    [t('dag.details.start'), <Time at={dag.start_date} />],
    [t('dag.details.end'), <Time at={dag.end_date} />],
    [t('dag.details.next'), <Time at={dag.next_run_after} />],
    [t('dag.details.catchup'), dag.catchup ? t('dag.yes') : t('dag.no')],
    [t('dag.details.maxRuns'), limit(dag.max_active_runs)],
    [t('dag.details.maxTasks'), limit(dag.max_active_tasks)],
    [t('dag.grid.tasks'), dag.task_count],
    [t('dag.details.bundle'), dag.bundle],
    [t('dag.details.file'), <Link to={to.dag(dag.dag_id, 'code')}>{dag.rel_path}</Link>],
    [t('dag.grid.tip.version'), dag.version],
    [t('dag.details.hash'), <code className={classes.hash}>{dag.file_hash}</code>],
    [t('dag.details.firstSeen'), <Time at={dag.first_seen} />],
  ];
  const params = Object.entries(dag.params as Record<string, { value?: unknown; schema?: Record<string, unknown> }>);
  return (
    <div className={classes.columns}>
      <section className={classes.card}>
        <h2>{t('dag.details.settings')}</h2>
        <dl className={classes.facts}>
          {facts.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      <div className={classes.right}>
        <section className={classes.card}>
          <h2>{t('dag.details.params')}</h2>
          {params.length === 0 ? (
            <p className="dim">{t('dag.details.noParams')}</p>
          ) : (
            <table className={classes.params}>
              <thead>
                <tr>
                  <th>{t('dag.details.param')}</th>
                  <th>{t('dag.details.type')}</th>
                  <th>{t('dag.details.value')}</th>
                </tr>
              </thead>
              <tbody>
                {params.map(([name, param]) => (
                  <tr key={name}>
                    <td>
                      <code>{name}</code>
                      {typeof param.schema?.description === 'string' && (
                        <div className="dim">{param.schema.description}</div>
                      )}
                    </td>
                    <td>{typeOf(param.schema)}</td>
                    <td>
                      <code>{param.value === undefined ? '–' : JSON.stringify(param.value)}</code>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </section>
        <section className={classes.card}>
          <h2>{t('dag.details.doc')}</h2>
          {dag.doc ? <SafeText text={dag.doc} /> : <p className="dim">{t('dag.details.noDoc')}</p>}
        </section>
      </div>
    </div>
  );
}

const limit = (value: number): string | number => (value > 0 ? value : t('dag.details.unlimited'));

function typeOf(schema: Record<string, unknown> | undefined): string {
  if (Array.isArray(schema?.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const type = schema?.type;
  return Array.isArray(type) ? type.join(' | ') : typeof type === 'string' ? type : t('shared.any');
}
