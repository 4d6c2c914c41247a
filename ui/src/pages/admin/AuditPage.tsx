/** What was changed, by whom, from where. */
import { NativeSelect } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { keyOf, pages } from '@/api/queries';
import type { AuditEntry } from '@/api/schema';
import { EmptyState } from '@/components/EmptyState';
import { Filters, SearchFilter } from '@/components/Filters';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { Time } from '@/components/Time';
import { type Column, VirtualTable } from '@/components/VirtualTable';
import { useLiveQueries } from '@/live/live';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import classes from './Admin.module.css';

const NAMES = ['by', 'dag', 'action', 'since'] as const;
const SPANS = { hour: 3_600, day: 86_400, week: 7 * 86_400 } as const;
type Span = keyof typeof SPANS;

/** Rounded to the minute, so that the same choice asks the same question. */
const momentOf = (span: Span): string =>
  new Date((Math.floor(Date.now() / 60_000) * 60 - SPANS[span]) * 1000).toISOString();

export default function AuditPage() {
  const [url, setUrl] = useUrlState();
  const by = url.get('by') || null;
  const dagId = url.get('dag') || null;
  const action = url.get('action') || null;
  const span = url.get('since') as Span | null;
  const since = useMemo(() => (span && span in SPANS ? momentOf(span) : null), [span]);
  const list = useInfiniteQuery(pages('/audit', { query: { by, dag_id: dagId, action, since, limit: 100 } }));
  useLiveQueries(
    { kinds: ['runs', 'dags', 'pools'], topics: ['variables', 'connections', 'accounts'] },
    [keyOf('/audit')],
    3_000,
  );
  const columns = useMemo(columnsOf, []);
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  const filtered = NAMES.some((name) => url.get(name));
  return (
    <div className={classes.page}>
      <PageHeader title={t('audit.title')}>{t('audit.lead')}</PageHeader>
      <div>
        <Filters names={NAMES}>
          <SearchFilter name="by" label={t('audit.by')} width={170} />
          <SearchFilter name="dag" label={t('audit.dag')} main={false} width={200} />
          <SearchFilter name="action" label={t('audit.action')} main={false} width={170} />
          <NativeSelect
            aria-label={t('audit.since')}
            value={span ?? ''}
            onChange={(event) => setUrl({ since: event.currentTarget.value })}
            data={[
              { value: '', label: t('audit.since.any') },
              { value: 'hour', label: t('audit.since.hour') },
              { value: 'day', label: t('audit.since.day') },
              { value: 'week', label: t('audit.since.week') },
            ]}
          />
        </Filters>
        {!list.data ? (
          <Pending error={list.error} retry={() => void list.refetch()} />
        ) : items.length === 0 ? (
          filtered ? (
            <p className="dim">{t('admin.noFit')}</p>
          ) : (
            <div className="panel">
              <EmptyState title={t('audit.empty')}>{t('audit.empty.text')}</EmptyState>
            </div>
          )
        ) : (
          <VirtualTable
            label={t('audit.title')}
            items={items}
            columns={columns}
            keyOf={(entry) => String(entry.id)}
            rowHeight={40}
            more={list.hasNextPage}
            loading={list.isFetchingNextPage}
            loadMore={list.fetchNextPage}
          />
        )}
      </div>
    </div>
  );
}

const columnsOf = (): Column<AuditEntry>[] => [
  { key: 'at', head: t('audit.when'), width: '160px', cell: (entry) => <Time at={entry.at} /> },
  {
    key: 'by',
    head: t('audit.by'),
    width: '130px',
    cell: (entry) => <span className={`${classes.name} cut`}>{entry.by}</span>,
  },
  {
    key: 'action',
    head: t('audit.action'),
    width: '150px',
    cell: (entry) => <span className="mono cut">{entry.action}</span>,
  },
  {
    key: 'what',
    head: t('audit.what'),
    width: 'minmax(200px, 1.4fr)',
    cell: (entry) => (
      <span className="cut" title={[entry.dag_id, entry.run_id, entry.subject].filter(Boolean).join(' / ')}>
        {entry.dag_id && (
          <Link to={entry.run_id ? to.run(entry.dag_id, entry.run_id) : to.dag(entry.dag_id)}>
            {[entry.dag_id, entry.run_id].filter(Boolean).join(' / ')}
          </Link>
        )}
        {entry.dag_id && entry.subject && ' / '}
        {entry.subject}
      </span>
    ),
  },
  {
    key: 'detail',
    head: t('audit.detail'),
    width: 'minmax(160px, 1.4fr)',
    cell: (entry) => (
      <span className="mono cut" title={entry.detail ?? undefined}>
        {entry.detail}
      </span>
    ),
  },
  {
    key: 'via',
    head: t('audit.via'),
    width: '150px',
    cell: (entry) => (
      <span className="dim cut">
        {entry.via} {entry.address}
      </span>
    ),
  },
];
