/** At a glance: what runs, what failed and why, what waits and for what, what comes next, whether all parts work. */
import { useQuery } from '@tanstack/react-query';
import { keyOf, query } from '@/api/queries';
import type { Home } from '@/api/schema';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { useLiveQueries } from '@/live/live';
import { NoDags } from '@/pages/dags/NoDags';
import { t } from '@/texts';
import { Ahead } from './Ahead';
import { FAILED, Failures } from './Failures';
import { HealthPanel } from './HealthPanel';
import classes from './HomePage.module.css';
import { RunningNow } from './RunningNow';
import { Summary } from './Summary';
import { WaitingFor } from './WaitingFor';

export default function HomePage() {
  const home = useQuery(query('/home'));
  useLiveQueries(
    { kinds: ['runs', 'tis', 'dags', 'pools'], topics: ['processes', 'import_errors'] },
    [keyOf('/home'), keyOf('/task-instances', { query: FAILED })],
    700,
  );
  return (
    <>
      <PageHeader title={t('home.title')} />
      {home.data ? <Board home={home.data} /> : <Pending error={home.error} retry={() => void home.refetch()} />}
    </>
  );
}

function Board({ home }: { home: Home }) {
  if (home.dags === 0 && home.import_errors === 0) {
    return (
      <div className={classes.board}>
        <div className={classes.main}>
          <NoDags filtered={false} />
        </div>
        <HealthPanel health={home.health} />
      </div>
    );
  }
  return (
    <>
      <Summary home={home} />
      <div className={classes.board}>
        <div className={classes.main}>
          <RunningNow running={home.running} total={home.instances.running ?? 0} />
          <Failures failed={home.failed} />
        </div>
        <div className={classes.side}>
          <WaitingFor waiting={home.waiting} notYet={home.instances.none ?? 0} />
          <Ahead planned={home.ahead} />
          <HealthPanel health={home.health} />
        </div>
      </div>
    </>
  );
}
