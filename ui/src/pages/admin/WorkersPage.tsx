/** Workers, queues and executors: who runs tasks, what waits where, and what can be ordered of a worker. */
import { useQuery } from '@tanstack/react-query';
import { keyOf, query } from '@/api/queries';
import type { ExecutorState } from '@/api/schema';
import { EmptyState } from '@/components/EmptyState';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { Time } from '@/components/Time';
import { useLiveQueries } from '@/live/live';
import { t } from '@/texts';
import classes from './Admin.module.css';
import { UseBar } from './PoolsPage';
import { Queues } from './Queues';
import { Table } from './Table';
import { Workers } from './Workers';

/** What processes tell of themselves is renewed every few seconds, and told to nobody. */
const EVERY = 5_000;

export default function WorkersPage() {
  const workers = useQuery({ ...query('/workers'), refetchInterval: EVERY });
  const queues = useQuery({ ...query('/queues'), refetchInterval: EVERY });
  const executors = useQuery({ ...query('/executors'), refetchInterval: EVERY });
  useLiveQueries(
    { kinds: ['tis'], topics: ['processes'] },
    [keyOf('/workers'), keyOf('/queues'), keyOf('/executors')],
    1_500,
  );
  return (
    <div className={classes.page}>
      <PageHeader title={t('workers.title')}>{t('workers.lead')}</PageHeader>
      {workers.data ? (
        <Workers workers={workers.data} />
      ) : (
        <Pending error={workers.error} retry={() => void workers.refetch()} />
      )}
      <h2 className={classes.section}>{t('workers.queues')}</h2>
      {queues.data ? (
        <Queues queues={queues.data} />
      ) : (
        <Pending error={queues.error} retry={() => void queues.refetch()} />
      )}
      <h2 className={classes.section}>{t('workers.executors')}</h2>
      {executors.data ? (
        <Executors executors={executors.data} />
      ) : (
        <Pending error={executors.error} retry={() => void executors.refetch()} />
      )}
    </div>
  );
}

function Executors({ executors }: { executors: readonly ExecutorState[] }) {
  if (executors.length === 0) {
    return (
      <div className="panel">
        <EmptyState title={t('workers.executors.none')} command="airloom scheduler">
          {t('workers.executors.none.text')}
        </EmptyState>
      </div>
    );
  }
  const heads = {
    executor: t('workers.col.executor'),
    use: t('workers.col.use'),
    state: t('workers.col.state'),
    seen: t('workers.col.seen'),
  };
  return (
    <Table heads={Object.values(heads)} stacks>
      {executors.map((executor) => (
        <tr key={executor.name}>
          <td className={classes.name}>{executor.name}</td>
          <td data-label={heads.use}>
            <UseBar used={executor.used} slots={executor.slots ?? null} />
          </td>
          <td data-label={heads.state}>
            {executor.why || (
              <span className={classes.chip} data-kind="on">
                {t('workers.takes')}
              </span>
            )}
          </td>
          <td data-label={heads.seen}>
            <Time at={executor.seen_at} relative />
          </td>
        </tr>
      ))}
    </Table>
  );
}
