import { to } from '@/routing/paths';
import { t } from '@/texts';

/** Where a task is, as links. */
export const crumbsOf = (dagId: string, runId: string) => [
  { label: t('shell.dags'), to: to.dags() },
  { label: dagId, to: to.dag(dagId) },
  { label: runId, to: to.run(dagId, runId) },
];
