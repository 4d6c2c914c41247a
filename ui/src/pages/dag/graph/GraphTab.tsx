/** The graph of a dag in the states of one run. */
import { useQuery } from '@tanstack/react-query';
import { query } from '@/api/queries';
import { Pending } from '@/components/Pending';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import type { TabProps } from '../DagPage';
import { RunSelect } from '../RunSelect';
import { useRunStates } from '../useRunStates';
import { GraphView } from './GraphView';

export default function GraphTab({ dagId, dag }: TabProps) {
  const [url, setUrl] = useUrlState();
  const chosen = url.get('run');
  const { run, runs, counts, ready, error } = useRunStates(dagId, chosen);
  const version = run?.version ?? dag.version;
  const structure = useQuery({
    ...query('/dags/{dag_id}/structure', { path: { dag_id: dagId }, query: { version } }),
    enabled: ready,
  });
  if (!structure.data) return <Pending error={error ?? structure.error} retry={() => void structure.refetch()} />;
  return (
    <GraphView
      dagId={dagId}
      structure={structure.data}
      runId={run?.run_id ?? null}
      counts={counts}
      controls={
        <>
          <RunSelect runs={runs} run={run} chosen={chosen} onChoose={(runId) => setUrl({ run: runId })} />
          {version !== dag.version && <span className="dim">{t('dag.graph.version', { version })}</span>}
        </>
      }
    />
  );
}
