/** Who is logged in, and what they may do. */
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, createContext, useContext, useEffect } from 'react';
import { EmptyState } from '@/components/EmptyState';
import { Pending } from '@/components/Pending';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { navigate } from '@/routing/router';
import { t } from '@/texts';
import { ApiError, api, setCsrfToken, whenUnauthorised } from './client';
import { queryClient } from './queries';
import type { Session } from './schema';

export type RoleName = 'viewer' | 'editor' | 'operator' | 'admin';
const ROLES: readonly RoleName[] = ['viewer', 'editor', 'operator', 'admin'];
const SessionContext = createContext<Session | null>(null);
const KEY = ['/session'];

/** Takes over a session that has just begun. */
export function enter(session: Session): void {
  // What somebody else saw in this tab is not for who comes now.
  queryClient.clear();
  setCsrfToken(session.csrf_token);
  queryClient.setQueryData(KEY, session);
}

/** Ends the session and goes to the login page. */
export async function logOut(): Promise<void> {
  await api.delete('/session');
  setCsrfToken(null);
  queryClient.clear();
  navigate(to.login());
}

function goToLogin(): void {
  if (location.pathname === '/login') return;
  const here = location.pathname + location.search;
  queryClient.removeQueries({ queryKey: KEY });
  navigate(to.login(here === '/' ? undefined : here), { replace: true });
}

/** Shows its children to who is logged in; sends everybody else to the login page, from where they come back. */
export function SessionGate({ children }: { children: ReactNode }) {
  useEffect(() => whenUnauthorised(goToLogin), []);
  const session = useQuery({
    queryKey: KEY,
    queryFn: async () => {
      const answer = await api.get('/session');
      setCsrfToken(answer.csrf_token);
      return answer;
    },
    staleTime: Infinity,
  });
  const nobody = session.error instanceof ApiError && session.error.status === 401;
  useEffect(() => {
    if (nobody) goToLogin();
  }, [nobody]);
  if (session.error instanceof ApiError && session.error.status === 403) {
    return (
      <EmptyState
        title={session.error.message}
        action={
          <Button component={Link} to={to.login()}>
            {t('login.other')}
          </Button>
        }
      />
    );
  }
  if (!session.data) return <Pending error={nobody ? null : session.error} retry={() => void session.refetch()} />;
  return <SessionContext value={session.data}>{children}</SessionContext>;
}

/** Who is logged in. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error('useSession outside of SessionGate');
  return session;
}

/** Whether who is logged in has a role: on everything, or on one dag. What they may not do is not offered. */
export function useMay(): (role: RoleName, dagId?: string) => boolean {
  const session = useSession();
  return (role, dagId) => {
    const wanted = ROLES.indexOf(role);
    const has = (name: string | null | undefined) => name != null && ROLES.indexOf(name as RoleName) >= wanted;
    if (has(session.role)) return true;
    if (dagId === undefined) return false;
    return session.grants.some((grant) => has(grant.role) && fits(grant.pattern, dagId));
  };
}

function fits(pattern: string, dagId: string): boolean {
  const escaped = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('[^]*')}$`).test(dagId);
}
