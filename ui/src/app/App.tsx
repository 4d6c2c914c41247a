/** Finds the page for the address, and shows it within the shell to who is logged in. */
import { Suspense, lazy, useMemo } from 'react';
import { SessionGate, useMay } from '@/api/session';
import { Pending } from '@/components/Pending';
import { match, usePath } from '@/routing/router';
import { ErrorBoundary } from './ErrorBoundary';
import { NotAllowed } from './NotAllowed';
import { NotFound } from './NotFound';
import { Shell } from './Shell';
import { neededFor } from './pages';
import { routes } from './routes';

const LoginPage = lazy(() => import('@/pages/login/LoginPage'));

export function App() {
  const path = usePath();
  return (
    <ErrorBoundary key={path === '/login' ? 'login' : 'in'}>
      {path === '/login' ? (
        <Suspense fallback={<Pending />}>
          <LoginPage />
        </Suspense>
      ) : (
        <SessionGate>
          <Shell>
            <CurrentPage path={path} />
          </Shell>
        </SessionGate>
      )}
    </ErrorBoundary>
  );
}

function CurrentPage({ path }: { path: string }) {
  const found = useMemo(() => {
    for (const route of routes) {
      const values = match(route.pattern, path);
      if (values) return { route, values };
    }
    return null;
  }, [path]);
  const may = useMay();
  if (!found) return <NotFound path={path} />;
  const needs = neededFor(path);
  if (needs && !may(needs)) return <NotAllowed needs={needs} />;
  const { page: Page, pattern } = found.route;
  // A page of another dag or run begins afresh; another tab of it goes on with what it has.
  const { tab: _, ...ids } = found.values;
  const key = `${pattern} ${Object.values(ids).join(' ')}`;
  return (
    <ErrorBoundary key={key}>
      <Suspense fallback={<Pending />}>
        <Page key={key} {...found.values} />
      </Suspense>
    </ErrorBoundary>
  );
}
