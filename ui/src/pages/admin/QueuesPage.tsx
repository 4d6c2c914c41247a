/** Queues, executors and workers: what waits where, and who takes it. */
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { keyOf, query } from '@/api/queries';
import type { ExecutorState, Queue, Worker } from '@/api/schema';
import { EmptyState } from '@/components/EmptyState';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { Time } from '@/components/Time';
import { useLiveQueries } from '@/live/live';
import { formatNumber, t } from '@/texts';
import classes from './Admin.module.css';
import { UseBar } from './PoolsPage';

const EVERY = 10_000;

export default function QueuesPage() {
  const queues = useQuery({ ...query('/queues'), refetchInterval: EVERY });
  const executors = useQuery({ ...query('/executors'), refetchInterval: EVERY });
  const workers = useQuery({ ...query('/workers'), refetchInterval: EVERY });
  useLiveQueries(
    { kinds: ['tis'], topics: ['processes'] },
    [keyOf('/queues'), keyOf('/executors'), keyOf('/workers')],
    1_500,
  );
  return (
    <div className={classes.page}>
      <PageHeader title={t('queues.title')}>{t('queues.lead')}</PageHeader>
      <h2 className={classes.section}>{t('queues.queues')}</h2>
      {queues.data ? (
        <Queues queues={queues.data} />
      ) : (
        <Pending error={queues.error} retry={() => void queues.refetch()} />
      )}
      <h2 className={classes.section}>{t('queues.executors')}</h2>
      {executors.data ? (
        <Executors executors={executors.data} />
      ) : (
        <Pending error={executors.error} retry={() => void executors.refetch()} />
      )}
      <h2 className={classes.section}>{t('queues.workers')}</h2>
      {workers.data ? (
        <Workers workers={workers.data} />
      ) : (
        <Pending error={workers.error} retry={() => void workers.refetch()} />
      )}
    </div>
  );
}

function Table({ heads, children }: { heads: readonly string[]; children: ReactNode }) {
  return (
    <div className={`panel ${classes.wide}`}>
      <table className={classes.table}>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head}>{head}</th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

function Queues({ queues }: { queues: readonly Queue[] }) {
  if (queues.length === 0) {
    return (
      <div className="panel">
        <EmptyState title={t('queues.none')} command={'@task(queue="gpu")'}>
          {t('queues.none.text')}
        </EmptyState>
      </div>
    );
  }
  return (
    <Table heads={[t('queues.col.queue'), t('queues.col.queued'), t('queues.col.running'), t('queues.col.workers')]}>
      {queues.map((queue) => (
        <tr key={queue.name}>
          <td className={classes.name}>{queue.name}</td>
          <td className="number">{formatNumber(queue.queued)}</td>
          <td className="number">{formatNumber(queue.running)}</td>
          <td>
            {queue.workers.length ? queue.workers.join(', ') : <span className="dim">{t('queues.everything')}</span>}
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Executors({ executors }: { executors: readonly ExecutorState[] }) {
  if (executors.length === 0) {
    return (
      <div className="panel">
        <EmptyState title={t('queues.executors.none')} command="airloom standalone">
          {t('queues.executors.none.text')}
        </EmptyState>
      </div>
    );
  }
  return (
    <Table heads={[t('queues.col.executor'), t('queues.col.use'), t('queues.col.state'), t('queues.col.seen')]}>
      {executors.map((executor) => (
        <tr key={executor.name}>
          <td className={classes.name}>{executor.name}</td>
          <td>
            <UseBar used={executor.used} slots={executor.slots ?? null} />
          </td>
          <td>
            {executor.why || (
              <span className={classes.chip} data-kind="on">
                {t('queues.takes')}
              </span>
            )}
          </td>
          <td>
            <Time at={executor.seen_at} relative />
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Workers({ workers }: { workers: readonly Worker[] }) {
  if (workers.length === 0) {
    return (
      <div className="panel">
        <EmptyState title={t('queues.workers.none')} command="airloom standalone">
          {t('queues.workers.none.text')}
        </EmptyState>
      </div>
    );
  }
  const heads = [
    t('queues.col.worker'),
    t('queues.col.state'),
    t('queues.col.executor'),
    t('queues.queues'),
    t('queues.col.use'),
    t('queues.col.version'),
    t('queues.col.started'),
    t('queues.col.seen'),
  ];
  return (
    <Table heads={heads}>
      {workers.map((worker) => (
        <tr key={worker.id} data-dim={!worker.alive || undefined}>
          <td>
            <span className={classes.name}>{worker.host}</span> <span className="dim number">{String(worker.pid)}</span>
          </td>
          <td>
            <span className={classes.chip} data-kind={worker.alive ? 'on' : 'off'}>
              {worker.alive ? t('queues.alive') : t('queues.gone')}
            </span>
          </td>
          <td>{worker.executor}</td>
          <td>{worker.queues.length ? worker.queues.join(', ') : <span className="dim">{t('shared.any')}</span>}</td>
          <td>
            <UseBar used={worker.running} slots={worker.slots ?? null} />
          </td>
          <td>{worker.version}</td>
          <td>
            <Time at={worker.started_at} />
          </td>
          <td>
            <Time at={worker.seen_at} relative />
          </td>
        </tr>
      ))}
    </Table>
  );
}
