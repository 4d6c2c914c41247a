/** The time line of a run of a dag. */
import { EmptyState } from '@/components/EmptyState';
import { Pending } from '@/components/Pending';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import type { TabProps } from '../DagPage';
import { RunSelect } from '../RunSelect';
import { useRunStates } from '../useRunStates';
import { GanttView } from './GanttView';

export default function GanttTab({ dagId }: TabProps) {
  const [url, setUrl] = useUrlState();
  const chosen = url.get('run');
  const { run, runs, ready, error } = useRunStates(dagId, chosen);
  if (!ready) return <Pending error={error} />;
  if (!run)
    return (
      <EmptyState title={t('dag.grid.empty')} command={`airloom dags trigger ${dagId}`}>
        {t('dag.grid.empty.text')}
      </EmptyState>
    );
  return (
    <GanttView
      key={run.run_id}
      dagId={dagId}
      run={run}
      controls={
        <RunSelect
          runs={runs}
          run={run}
          chosen={chosen}
          onChoose={(runId) => setUrl({ run: runId, from: null, until: null })}
        />
      }
    />
  );
}
