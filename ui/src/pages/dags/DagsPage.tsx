/** All dags: what is on, how the last runs went, what comes next; pause and trigger. */
import { Button, NativeSelect, Select, Tooltip, VisuallyHidden } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { keyOf, pages, query } from '@/api/queries';
import type { Dag } from '@/api/schema';
import { ChoiceFilter, Filters, SearchFilter, StateFilter } from '@/components/Filters';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { RunBars } from '@/components/RunBars';
import { StateIcon } from '@/components/StateIcon';
import { Time, Upcoming } from '@/components/Time';
import { TriggerDialog } from '@/components/trigger/TriggerDialog';
import { type Column, VirtualTable } from '@/components/VirtualTable';
import { useLiveQueries } from '@/live/live';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { useUrlState } from '@/routing/router';
import { RUN_STATES, wordOf } from '@/states/states';
import { formatNumber, t } from '@/texts';
import classes from './DagsPage.module.css';
import { NoDags } from './NoDags';
import { PauseSwitch } from './PauseSwitch';
import { useLiveBars } from './liveBars';

const FILTERS = ['search', 'tag', 'state', 'show'];
const ORDERS = ['dag_id', '-last_run', 'next_run'] as const;

/** The tags that the address names; a comma that is part of a tag is encoded. */
const tagsOf = (text: string | null): string[] => (text ?? '').split(',').filter(Boolean).map(decoded);

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export default function DagsPage() {
  const [url, setUrl] = useUrlState();
  const [triggered, setTriggered] = useState<string | null>(null);
  const tags = tagsOf(url.get('tag'));
  const state = RUN_STATES.find((each) => each === url.get('state'));
  const show = url.get('show') ?? 'all';
  const order = ORDERS.find((each) => each === url.get('order')) ?? 'dag_id';
  const asked = {
    search: url.get('search') ?? undefined,
    tag: tags.length > 0 ? tags : undefined,
    last_run_state: state ? [state] : undefined,
    paused: show === 'on' ? false : show === 'paused' ? true : undefined,
    active: show !== 'gone',
    order_by: order,
    limit: 100,
  };
  const list = useInfiniteQuery({ ...pages('/dags', { query: asked }), placeholderData: keepPreviousData });
  const broken = useQuery(query('/import-errors'));
  useLiveBars();
  // The bars are patched as runs change; when the next run is, and which rows fit a filter, is asked again.
  useLiveQueries({ kinds: ['runs'] }, [keyOf('/dags')], state || order !== 'dag_id' ? 1_000 : 4_000);
  useLiveQueries(
    { kinds: ['dags'], topics: ['import_errors'] },
    [keyOf('/dags'), keyOf('/tags'), keyOf('/import-errors')],
    1_000,
  );
  const dags = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);
  const columns = useColumns(setTriggered);
  const filtered = FILTERS.some((name) => url.get(name));
  return (
    <>
      <PageHeader
        title={t('dags.title')}
        actions={
          <NativeSelect
            aria-label={t('dags.sort')}
            value={order}
            onChange={(event) =>
              setUrl({ order: event.currentTarget.value === 'dag_id' ? null : event.currentTarget.value })
            }
            data={[
              { value: 'dag_id', label: t('dags.sort.name') },
              { value: '-last_run', label: t('dags.sort.lastRun') },
              { value: 'next_run', label: t('dags.sort.nextRun') },
            ]}
          />
        }
      />
      {broken.data !== undefined && broken.data.length > 0 && (
        <p className={classes.broken}>
          <StateIcon state="upstream_failed" title="" />
          {t('dags.broken', { count: broken.data.length })} <Link to={to.importErrors()}>{t('dags.broken.link')}</Link>
        </p>
      )}
      <Filters names={FILTERS}>
        <SearchFilter label={t('dags.search')} width={230} />
        <TagFilter chosen={tags} onChange={(next) => setUrl({ tag: next.map(encodeURIComponent).join(',') })} />
        <ChoiceFilter
          name="show"
          label={t('dags.filter.label')}
          choices={[
            { value: 'all', label: t('dags.filter.all') },
            { value: 'on', label: t('dags.filter.on') },
            { value: 'paused', label: t('dags.filter.paused') },
            { value: 'gone', label: t('dags.filter.gone') },
          ]}
        />
        <StateFilter states={RUN_STATES} />
      </Filters>
      {!list.data ? (
        <Pending error={list.error} retry={() => void list.refetch()} />
      ) : dags.length === 0 ? (
        <NoDags filtered={filtered} />
      ) : (
        <>
          <VirtualTable
            label={t('dags.title')}
            items={dags}
            columns={columns}
            keyOf={(dag) => dag.dag_id}
            rowHeight={50}
            rowKind={(dag) => (dag.paused || !dag.active ? 'dim' : undefined)}
            more={list.hasNextPage}
            loading={list.isFetchingNextPage}
            loadMore={list.fetchNextPage}
          />
          <p className={classes.count}>
            {list.hasNextPage ? t('dags.countMore', { count: dags.length }) : t('dags.count', { count: dags.length })}
          </p>
        </>
      )}
      {triggered !== null && <TriggerDialog dagId={triggered} onClose={() => setTriggered(null)} />}
    </>
  );
}

function TagFilter({ chosen, onChange }: { chosen: readonly string[]; onChange: (tags: readonly string[]) => void }) {
  const tags = useQuery(query('/tags'));
  const names = (tags.data ?? []).map((tag) => tag.name).filter((name) => !chosen.includes(name));
  if (!tags.data || (tags.data.length === 0 && chosen.length === 0)) return null;
  return (
    <>
      <Select
        w={140}
        searchable
        limit={100}
        placeholder={t('dags.tag')}
        aria-label={t('dags.tag')}
        data={names}
        value={null}
        onChange={(name) => name && onChange([...chosen, name])}
      />
      {chosen.map((name) => (
        <button
          key={name}
          type="button"
          className={classes.chosen}
          aria-label={t('dags.tag.remove', { tag: name })}
          onClick={() => onChange(chosen.filter((each) => each !== name))}
        >
          {name} <span aria-hidden="true">×</span>
        </button>
      ))}
    </>
  );
}

function useColumns(trigger: (dagId: string) => void): readonly Column<Dag>[] {
  return useMemo(
    () => [
      { key: 'on', head: t('dags.on'), width: '44px', cell: (dag) => <PauseSwitch dag={dag} /> },
      { key: 'name', head: t('dags.name'), width: 'minmax(220px, 3fr)', cell: (dag) => <Name dag={dag} /> },
      {
        key: 'bars',
        head: t('dags.lastRuns'),
        width: '140px',
        cell: (dag) => <RunBars dagId={dag.dag_id} runs={dag.last_runs} />,
      },
      { key: 'last', head: t('dags.lastRun'), width: 'minmax(130px, 1fr)', cell: (dag) => <LastRun dag={dag} /> },
      { key: 'next', head: t('dags.nextRun'), width: 'minmax(130px, 1fr)', cell: (dag) => <NextRun dag={dag} /> },
      {
        key: 'tasks',
        head: t('dags.tasks'),
        width: '52px',
        align: 'right',
        cell: (dag) => <span className="number">{formatNumber(dag.task_count)}</span>,
      },
      {
        key: 'do',
        head: <VisuallyHidden>{t('dags.actions')}</VisuallyHidden>,
        width: '92px',
        align: 'right',
        cell: (dag) =>
          dag.can_edit && dag.active ? (
            <Button
              variant="subtle"
              size="compact-xs"
              leftSection={<IconPlayerPlay size={12} aria-hidden />}
              aria-label={t('dags.triggerNamed', { dag: dag.dag_id })}
              onClick={() => trigger(dag.dag_id)}
            >
              {t('dags.trigger')}
            </Button>
          ) : null,
      },
    ],
    [trigger],
  );
}

function Name({ dag }: { dag: Dag }) {
  const [, setUrl] = useUrlState();
  return (
    <div className={classes.name}>
      <div className={classes.nameLine}>
        <Link to={to.dag(dag.dag_id)} className="cut" title={dag.dag_id}>
          {dag.display_name ?? dag.dag_id}
        </Link>
        {!dag.active && (
          <Tooltip label={t('dags.gone.hint')}>
            <span className={classes.mark} tabIndex={0}>
              {t('dags.gone')}
            </span>
          </Tooltip>
        )}
        {dag.has_import_errors && (
          <Tooltip label={t('dags.importErrorsHint')}>
            <Link to={to.importErrors()} className={classes.mark} data-kind="wrong">
              {t('dags.importErrors')}
            </Link>
          </Tooltip>
        )}
        {dag.tags.slice(0, 4).map((tag) => (
          <button
            key={tag}
            type="button"
            className={classes.tag}
            title={t('dags.tagged', { tag })}
            onClick={() => setUrl({ tag: encodeURIComponent(tag) })}
          >
            {tag}
          </button>
        ))}
      </div>
      <div className={`${classes.second} cut`}>{dag.description || dag.rel_path}</div>
    </div>
  );
}

function LastRun({ dag }: { dag: Dag }) {
  const last = dag.last_runs[0];
  if (!last) return <span className="dim">–</span>;
  return (
    <Link
      to={to.run(dag.dag_id, last.run_id)}
      className={classes.run}
      aria-label={`${wordOf(last.state)} ${last.run_id}`}
    >
      <StateIcon state={last.state} />
      <Time at={last.ended_at ?? last.started_at ?? last.run_after} relative />
    </Link>
  );
}

function NextRun({ dag }: { dag: Dag }) {
  return (
    <div>
      {dag.paused ? <span className="dim">{t('dags.pausedShort')}</span> : <Upcoming at={dag.next_run_after} />}
      <div className={`${classes.second} cut`} title={`${dag.schedule} (${dag.timezone})`}>
        {dag.schedule}
      </div>
    </div>
  );
}
