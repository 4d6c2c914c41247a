import { useQuery } from '@tanstack/react-query';
import { query } from '@/api/queries';
import { useMay } from '@/api/session';
import { Command } from '@/components/Command';
import { EmptyState } from '@/components/EmptyState';
import { t } from '@/texts';

/** In place of an empty list: what to change, or how to make the first dag. */
export function NoDags({ filtered }: { filtered: boolean }) {
  const may = useMay();
  const any = useQuery({ ...query('/dags', { query: { limit: 1 } }), enabled: filtered });
  if (filtered && any.data?.items.length !== 0) return <EmptyState title={t('dags.noMatch')} />;
  if (!may('viewer')) return <EmptyState title={t('dags.empty.none')} />;
  return (
    <div className="panel">
      <EmptyState title={t('dags.empty')}>
        <p>{t('dags.empty.text')}</p>
        <Command text={t('dags.empty.code')} />
        <p>{t('dags.empty.folder')}</p>
        <Command text={t('dags.empty.command')} />
      </EmptyState>
    </div>
  );
}
