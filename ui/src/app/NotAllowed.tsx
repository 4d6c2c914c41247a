import { Button } from '@mantine/core';
import type { RoleName } from '@/api/session';
import { EmptyState } from '@/components/EmptyState';
import { PageHeader } from '@/components/PageHeader';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';

/** In place of a page that the reader may not see. */
export function NotAllowed({ needs }: { needs: RoleName }) {
  return (
    <>
      <PageHeader title={t('shell.notAllowed')} />
      <EmptyState
        title={t('shell.notAllowed.title', { role: t(`role.${needs}`) })}
        action={
          <Button component={Link} to={to.account()} variant="default">
            {t('shell.notAllowed.action')}
          </Button>
        }
      >
        {t('shell.notAllowed.text')}
      </EmptyState>
    </>
  );
}
