/** One dag: its head, and tabs that are loaded when they are opened. All of what is chosen is in the address. */
import { useQuery } from '@tanstack/react-query';
import { type ComponentType, Suspense, lazy } from 'react';
import type { RouteProps } from '@/app/routes';
import { query, keyOf } from '@/api/queries';
import type { DagDetails } from '@/api/schema';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { TabLinks } from '@/components/TabLinks';
import { useLiveQueries } from '@/live/live';
import { NotFound } from '@/app/NotFound';
import { type DagTab, to } from '@/routing/paths';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import { CRUMBS, Header } from './Header';

export type TabProps = { dagId: string; dag: DagDetails };

const tab = (load: () => Promise<{ default: ComponentType<TabProps> }>) => lazy(load);

const TABS: Record<DagTab, ComponentType<TabProps>> = {
  grid: tab(() => import('./grid/GridTab')),
  graph: tab(() => import('./graph/GraphTab')),
  gantt: tab(() => import('./gantt/GanttTab')),
  calendar: tab(() => import('./calendar/CalendarTab')),
  runs: tab(() => import('./runs/RunsTab')),
  durations: tab(() => import('./durations/DurationsTab')),
  code: tab(() => import('./code/CodeTab')),
  details: tab(() => import('./DetailsTab')),
};
const NAMES = Object.keys(TABS) as DagTab[];

export default function DagPage({ dagId = '', tab = 'grid' }: RouteProps) {
  const path = { dag_id: dagId };
  const dag = useQuery(query('/dags/{dag_id}', { path }));
  useLiveQueries({ dagId, kinds: ['dags', 'runs'] }, [keyOf('/dags/{dag_id}', { path })], 1_000);
  const [url] = useUrlState();
  if (!Object.hasOwn(TABS, tab)) return <NotFound path={to.dag(dagId) + `/${tab}`} />;
  if (!dag.data) {
    return (
      <>
        <PageHeader title={dagId} crumbs={CRUMBS} />
        <Pending error={dag.error} retry={() => void dag.refetch()} />
      </>
    );
  }
  const name = tab as DagTab;
  const Tab = TABS[name];
  // A run that is chosen in one tab stays chosen in the others, and so do folded groups.
  const kept = { run: url.get('run'), folded: url.get('folded') };
  const links = NAMES.map((each) => ({ name: each, label: t(`dag.tab.${each}`), to: to.dag(dagId, each, kept) }));
  return (
    <>
      <Header dag={dag.data} />
      <TabLinks links={links} current={name} label={t('dag.tabs')} />
      <Suspense fallback={<Pending />}>
        <Tab key={dagId} dagId={dagId} dag={dag.data} />
      </Suspense>
    </>
  );
}
