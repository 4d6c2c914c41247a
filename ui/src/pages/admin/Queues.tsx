/** The table of queues: what waits in each, who serves it, and why what waits does not start. */
import { IconAlertTriangle } from '@tabler/icons-react';
import type { Queue } from '@/api/schema';
import { EmptyState } from '@/components/EmptyState';
import { Sentence } from '@/pages/task/parts/Why';
import { formatNumber, t } from '@/texts';
import classes from './Admin.module.css';
import { Table } from './Table';

/** What nobody will do anything about unless somebody acts. */
const ALARMING = ['no_worker', 'drained', 'capacity'];
/** Workers that a row names. */
const NAMED = 6;

export function Queues({ queues }: { queues: readonly Queue[] }) {
  if (queues.length === 0) {
    return (
      <div className="panel">
        <EmptyState title={t('workers.queues.none')} command={'@task(queue="gpu")'}>
          {t('workers.queues.none.text')}
        </EmptyState>
      </div>
    );
  }
  const heads = {
    queue: t('workers.col.queue'),
    executor: t('workers.col.executor'),
    queued: t('workers.col.queued'),
    running: t('workers.col.running'),
    free: t('workers.col.free'),
    servedBy: t('workers.col.servedBy'),
  };
  return (
    <Table heads={Object.values(heads)} stacks>
      {queues.map((queue) => (
        <tr key={`${queue.executor} ${queue.name}`}>
          <td className={classes.name}>{queue.name}</td>
          <td data-label={heads.executor}>{queue.executor}</td>
          <td className="number" data-label={heads.queued}>
            {formatNumber(queue.queued)}
          </td>
          <td className="number" data-label={heads.running}>
            {formatNumber(queue.running)}
          </td>
          <td className="number" data-label={heads.free}>
            <Free queue={queue} />
          </td>
          <td data-label={heads.servedBy}>
            {queue.workers.length > 0 ? (
              <ServedBy workers={queue.workers} />
            ) : (
              queue.trouble === '' && <span className="dim">{t('workers.nobody')}</span>
            )}
            {queue.trouble !== '' && <Trouble queue={queue} />}
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Free({ queue }: { queue: Queue }) {
  if (queue.workers.length === 0) return <span className="dim">–</span>;
  if (queue.slots == null || queue.free == null) return <>{t('pools.unlimited')}</>;
  return <>{t('workers.freeOf', { free: queue.free, slots: queue.slots })}</>;
}

function ServedBy({ workers }: { workers: readonly string[] }) {
  const more = workers.length - NAMED;
  return (
    <span title={more > 0 ? workers.join(', ') : undefined}>
      {workers.slice(0, NAMED).join(', ')}
      {more > 0 && ` ${t('workers.andMore', { count: more })}`}
    </span>
  );
}

function Trouble({ queue }: { queue: Queue }) {
  const alarming = ALARMING.includes(queue.kind);
  return (
    <div className={alarming ? classes.trouble : 'dim'}>
      {alarming && <IconAlertTriangle size={14} aria-hidden />}
      <Sentence text={queue.trouble} />
    </div>
  );
}
