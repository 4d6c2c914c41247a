/** The DAG file of a version, and what differs between two. */
import { NativeSelect, SegmentedControl } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { pages, query } from '@/api/queries';
import type { Version } from '@/api/schema';
import { EmptyState } from '@/components/EmptyState';
import { Pending } from '@/components/Pending';
import { Time } from '@/components/Time';
import { formatMoment, millis } from '@/components/time';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import type { TabProps } from '../DagPage';
import classes from './Code.module.css';
import { CodeLines, DiffLines } from './Lines';
import { linesOf } from './diff';
import { useDiff } from './useDiff';

export default function CodeTab({ dagId, dag }: TabProps) {
  const [url, setUrl] = useUrlState();
  const path = { dag_id: dagId };
  const versions = useInfiniteQuery(pages('/dags/{dag_id}/versions', { path, query: { limit: 200 } }));
  const number = Number(url.get('version')) || dag.version;
  const against = Number(url.get('against')) || null;
  const code = useQuery(query('/dags/{dag_id}/versions/{number}/code', { path: { ...path, number } }));
  const other = useQuery({
    ...query('/dags/{dag_id}/versions/{number}/code', { path: { ...path, number: against ?? number } }),
    enabled: against !== null,
  });
  const lines = useMemo(() => (code.data ? linesOf(code.data.source) : null), [code.data]);
  const before = useMemo(
    () => (other.data && against !== null ? linesOf(other.data.source) : null),
    [other.data, against],
  );
  const diff = useDiff(before, lines);
  const all: Version[] = versions.data?.pages.flatMap((page) => page.items) ?? [];
  const data = all.map((version) => ({
    value: String(version.number),
    label: t('dag.code.versionOf', {
      version: version.number,
      when: formatMoment(millis(version.created_at) ?? 0, Date.now(), true),
    }),
  }));
  if (!code.data || !lines || !versions.data) {
    const failed = code.error ?? versions.error;
    return <Pending error={failed} retry={() => void Promise.all([code.refetch(), versions.refetch()])} />;
  }
  const chosen = all.find((version) => version.number === number);
  const split = url.get('view') !== 'unified';
  return (
    <>
      <div className={classes.bar}>
        <NativeSelect
          label={t('dag.code.version')}
          classNames={{ root: classes.select! }}
          value={String(number)}
          onChange={(event) =>
            setUrl({ version: event.currentTarget.value === String(dag.version) ? null : event.currentTarget.value })
          }
          data={data}
        />
        <NativeSelect
          label={t('dag.code.against')}
          classNames={{ root: classes.select! }}
          value={against === null ? '' : String(against)}
          onChange={(event) => setUrl({ against: event.currentTarget.value })}
          data={[{ value: '', label: t('dag.code.nothing') }, ...data.filter((each) => each.value !== String(number))]}
        />
        {against !== null && (
          <SegmentedControl
            aria-label={t('dag.code.view')}
            value={split ? 'split' : 'unified'}
            onChange={(value) => setUrl({ view: value === 'unified' ? 'unified' : null })}
            data={[
              { value: 'split', label: t('dag.code.split') },
              { value: 'unified', label: t('dag.code.unified') },
            ]}
          />
        )}
        {diff && (
          <span className={classes.changes}>
            <span className={classes.plus}>+{diff.added}</span> <span className={classes.minus}>−{diff.removed}</span>
          </span>
        )}
        <span className={classes.facts}>
          <span className="mono">{code.data.rel_path}</span>
          {chosen && <Time at={chosen.created_at} />}
          {chosen && t('dag.group.tasks', { count: chosen.task_count })}
        </span>
      </div>
      {against === null ? (
        lines.length === 0 ? (
          <EmptyState title={t('dag.code.empty')} />
        ) : (
          <CodeLines key={number} lines={lines} label={code.data.rel_path} />
        )
      ) : !diff || !before ? (
        <Pending error={other.error} />
      ) : diff.added + diff.removed === 0 ? (
        <EmptyState title={t('dag.code.same', { a: against, b: number })}>{t('dag.code.same.text')}</EmptyState>
      ) : (
        <DiffLines
          key={`${against} ${number} ${split}`}
          a={before}
          b={lines}
          diff={diff}
          split={split}
          label={t('dag.code.diff', { a: against, b: number })}
        />
      )}
    </>
  );
}
