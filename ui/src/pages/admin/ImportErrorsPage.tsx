/** What is wrong with DAG files: where, what, and the whole traceback. */
import { useQuery } from '@tanstack/react-query';
import { keyOf, query } from '@/api/queries';
import type { ImportError } from '@/api/schema';
import { EmptyState } from '@/components/EmptyState';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { Time } from '@/components/Time';
import { useLiveQueries } from '@/live/live';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './Admin.module.css';

export default function ImportErrorsPage() {
  // A file that has never been read makes no change that the stream tells of.
  const list = useQuery({ ...query('/import-errors'), refetchInterval: 4_000 });
  useLiveQueries({ kinds: ['dags'], topics: ['import_errors'] }, [keyOf('/import-errors')]);
  return (
    <div className={classes.page}>
      <PageHeader title={t('importErrors.title')}>
        {list.data && list.data.length > 0 && (
          <>
            {t('importErrors.count', { count: list.data.length })}. {t('importErrors.kept')}
          </>
        )}
      </PageHeader>
      {!list.data ? (
        <Pending error={list.error} retry={() => void list.refetch()} />
      ) : list.data.length === 0 ? (
        <div className="panel">
          <EmptyState title={t('importErrors.none')} command="airloom dags errors">
            {t('importErrors.none.text')}
          </EmptyState>
        </div>
      ) : (
        list.data.map((error) => (
          <Problem key={`${error.bundle}\n${error.rel_path}\n${error.dag_id ?? ''}\n${error.text}`} error={error} />
        ))
      )}
    </div>
  );
}

function Problem({ error }: { error: ImportError }) {
  return (
    <article className={`panel ${classes.error}`}>
      <div className={classes.errorHead}>
        <h2>
          {error.rel_path}
          {error.line != null && `:${error.line}`}
        </h2>
        <span className="dim">{error.bundle}</span>
        {error.dag_id && (
          <>
            <span className="dim">{t('importErrors.dag', { dag: error.dag_id })}</span>
            <Link to={to.dag(error.dag_id, 'code')}>{t('importErrors.code')}</Link>
          </>
        )}
        <span className="dim">
          <Time at={error.found_at} relative />
        </span>
      </div>
      <p className={classes.errorText}>{error.text}</p>
      {error.traceback && (
        <details>
          <summary>{t('importErrors.traceback')}</summary>
          <pre tabIndex={0}>{error.traceback}</pre>
        </details>
      )}
    </article>
  );
}
