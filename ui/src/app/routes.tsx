/** Which page is at which address. Each page is loaded when it is first opened. */
import { type ComponentType, lazy } from 'react';

/** What a page gets: the `:name` parts of its address. */
export type RouteProps = Record<string, string | undefined>;
type Page = ComponentType<any>;
type Route = { pattern: string; page: Page };

const page = (load: () => Promise<{ default: Page }>): Page => lazy(load);

const dag = page(() => import('@/pages/dag/DagPage'));
const pools = page(() => import('@/pages/admin/PoolsPage'));

/** The first that fits counts. */
export const routes: readonly Route[] = [
  { pattern: '/', page: page(() => import('@/pages/home/HomePage')) },
  { pattern: '/dags', page: page(() => import('@/pages/dags/DagsPage')) },
  { pattern: '/dags/:dagId/runs/:runId/tasks/:taskId/:tab?', page: page(() => import('@/pages/task/TaskPage')) },
  { pattern: '/dags/:dagId/runs/:runId/:tab?', page: page(() => import('@/pages/run/RunPage')) },
  { pattern: '/dags/:dagId/:tab?', page: dag },
  { pattern: '/runs', page: page(() => import('@/pages/runs/RunsPage')) },
  { pattern: '/pools/:name?', page: pools },
  { pattern: '/workers', page: page(() => import('@/pages/admin/WorkersPage')) },
  { pattern: '/variables', page: page(() => import('@/pages/admin/VariablesPage')) },
  { pattern: '/connections', page: page(() => import('@/pages/admin/ConnectionsPage')) },
  { pattern: '/import-errors', page: page(() => import('@/pages/admin/ImportErrorsPage')) },
  { pattern: '/users', page: page(() => import('@/pages/admin/UsersPage')) },
  { pattern: '/tokens', page: page(() => import('@/pages/admin/TokensPage')) },
  { pattern: '/audit', page: page(() => import('@/pages/admin/AuditPage')) },
  { pattern: '/account', page: page(() => import('@/pages/account/AccountPage')) },
];
