import { UnstyledButton } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { useMemo } from 'react';
import type { Run } from '@/api/schema';
import { Duration } from '@/components/Duration';
import { EmptyState } from '@/components/EmptyState';
import { Filters, SearchFilter, StateFilter } from '@/components/Filters';
import { Pending } from '@/components/Pending';
import { StateBadge } from '@/components/StateBadge';
import { StateIcon } from '@/components/StateIcon';
import { Time } from '@/components/Time';
import { type Column, VirtualTable } from '@/components/VirtualTable';
import { triesMade } from '@/pages/task/parts/tries';
import { causeWord } from '@/pages/task/parts/Cause';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { useUrlState } from '@/routing/router';
import { STATE_ORDER, isFinished, wordOf } from '@/states/states';
import { formatNumber, t } from '@/texts';
import classes from './Run.module.css';
import { type Row, rowsOf } from './rows';
import { useTasks } from './useTasks';

/** The tasks of a run, by state and name; mapped ones folded. */
export function Tasks({ run }: { run: Run }) {
  const [url, setUrl] = useUrlState();
  const state = url.get('state');
  const name = url.get('task') ?? '';
  const opened = url.get('open') ?? '';
  const { list, items } = useTasks(run, state);
  const open = useMemo(() => new Set(opened.split('\n').filter(Boolean)), [opened]);
  const rows = useMemo(() => rowsOf(items, open, name), [items, open, name]);
  const columns = useMemo(() => {
    const toggle = (taskId: string) => {
      const next = new Set(open);
      if (!next.delete(taskId)) next.add(taskId);
      setUrl({ open: [...next].join('\n') });
    };
    return columnsOf(run, toggle);
  }, [run.dag_id, run.run_id, open, setUrl]);
  const counts = run.counts ?? {};
  const states = STATE_ORDER.filter((each) => (counts as Record<string, number>)[each] || each === state);
  const total = Object.values(counts).reduce((sum, count) => sum + (count ?? 0), 0);
  if (list.data && total === 0 && items.length === 0) {
    return (
      <div className="panel">
        <EmptyState title={t('run.tasks.empty')}>{t('run.tasks.empty.text')}</EmptyState>
      </div>
    );
  }
  return (
    <>
      <Filters names={['state', 'task']} after={t('run.tasks.count', { count: total })}>
        <SearchFilter name="task" label={t('run.tasks.search')} />
        <StateFilter states={states} counts={counts as Record<string, number>} />
      </Filters>
      {!list.data ? (
        <Pending error={list.error} retry={() => void list.refetch()} />
      ) : rows.length === 0 && !list.hasNextPage ? (
        <p className="dim">{t('run.tasks.none')}</p>
      ) : (
        <VirtualTable
          label={t('run.tasks.label')}
          items={rows}
          columns={columns}
          keyOf={keyOfRow}
          rowHeight={40}
          more={list.hasNextPage}
          loading={list.isFetchingNextPage}
          loadMore={list.fetchNextPage}
        />
      )}
    </>
  );
}

const keyOfRow = (row: Row): string =>
  row.kind === 'mapped' ? `${row.taskId}\n` : `${row.ti.task_id}\n${row.ti.map_index}`;

function columnsOf(run: Run, toggle: (taskId: string) => void): Column<Row>[] {
  return [
    {
      key: 'task',
      head: t('run.tasks.task'),
      width: 'minmax(220px, 1.4fr)',
      cell: (row) => <Name run={run} row={row} toggle={toggle} />,
    },
    {
      key: 'state',
      head: t('run.tasks.state'),
      width: 'minmax(170px, 1fr)',
      cell: (row) => (row.kind === 'one' ? <StateBadge state={row.ti.state} /> : <Counts counts={row.counts} />),
    },
    {
      key: 'tries',
      head: t('run.tasks.tries'),
      width: '56px',
      cell: (row) => (row.kind === 'one' ? triesMade(row.ti) : ''),
    },
    {
      key: 'started',
      head: t('run.tasks.started'),
      width: '160px',
      cell: (row) => <Time at={row.kind === 'one' ? row.ti.started_at : row.startedAt} />,
    },
    {
      key: 'took',
      head: t('run.tasks.took'),
      width: '110px',
      cell: (row) =>
        row.kind === 'one' ? (
          <Duration from={row.ti.started_at} until={row.ti.ended_at} running={row.ti.state === 'running'} />
        ) : (
          <Duration
            from={row.startedAt}
            until={row.endedAt}
            running={Object.keys(row.counts).some((state) => !isFinished(state))}
          />
        ),
    },
    {
      key: 'why',
      head: t('run.tasks.why'),
      width: 'minmax(180px, 1.6fr)',
      cell: (row) =>
        row.kind === 'one' && (
          <span className="cut" title={row.ti.detail ?? undefined}>
            {[causeWord(row.ti.cause), row.ti.detail].filter(Boolean).join(': ')}
          </span>
        ),
    },
  ];
}

function Name({ run, row, toggle }: { run: Run; row: Row; toggle: (taskId: string) => void }) {
  if (row.kind === 'one') {
    return (
      <span className={row.inside ? classes.inside : classes.outside}>
        <Link to={to.task(run.dag_id, run.run_id, row.ti.task_id, { mapIndex: row.ti.map_index })} className="cut">
          {row.inside ? `${row.ti.task_id}[${row.ti.map_index}]` : row.ti.task_id}
        </Link>
      </span>
    );
  }
  return (
    <span className={classes.mapped}>
      <UnstyledButton
        className={classes.toggle}
        aria-expanded={row.open}
        aria-label={t(row.open ? 'run.tasks.close' : 'run.tasks.open', { task: row.taskId })}
        onClick={() => toggle(row.taskId)}
      >
        <IconChevronRight size={14} stroke={2.2} aria-hidden />
      </UnstyledButton>
      <Link to={to.task(run.dag_id, run.run_id, row.taskId)} className="cut">
        {row.taskId}
      </Link>
      <span className="dim number">{t('run.tasks.instances', { count: row.total })}</span>
    </span>
  );
}

function Counts({ counts }: { counts: Record<string, number> }) {
  return (
    <span className={classes.counts}>
      {STATE_ORDER.filter((state) => counts[state]).map((state) => (
        <span key={state} className="number" title={wordOf(state)}>
          <StateIcon state={state} size={13} /> {formatNumber(counts[state] ?? 0)}
        </span>
      ))}
    </span>
  );
}
