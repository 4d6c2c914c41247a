import { to } from '@/routing/paths';

/** Where a task is, as links. */
export const crumbsOf = (dagId: string, runId: string) => [
  { label: dagId, to: to.dag(dagId) },
  { label: runId, to: to.run(dagId, runId) },
];
