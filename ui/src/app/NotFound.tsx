import { Button } from '@mantine/core';
import { EmptyState } from '@/components/EmptyState';
import { PageHeader } from '@/components/PageHeader';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';

export function NotFound({ path }: { path: string }) {
  return (
    <>
      <PageHeader title={t('shell.notFound')} />
      <EmptyState
        title={t('shell.notFound.text', { path })}
        action={
          <Button component={Link} to={to.home()}>
            {t('shell.notFound.action')}
          </Button>
        }
      />
    </>
  );
}
