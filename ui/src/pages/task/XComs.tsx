import { SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { query } from '@/api/queries';
import type { XCom } from '@/api/schema';
import { EmptyState } from '@/components/EmptyState';
import { formatBytes } from '@/components/bytes';
import { Pending } from '@/components/Pending';
import { Link } from '@/routing/Link';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import { CopyButton } from './parts/CopyButton';
import { JsonTree } from './parts/JsonTree';
import classes from './Task.module.css';
import parts from './parts/parts.module.css';
import { pathOf } from './useTask';

type Props = { dagId: string; runId: string; taskId: string; mapIndex: number };

/** What a task instance left for others. */
export function XComs({ dagId, runId, taskId, mapIndex }: Props) {
  const [url] = useUrlState();
  const path = pathOf({ dagId, runId, taskId });
  const list = useQuery(
    query('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/xcoms', { path, query: { map_index: mapIndex } }),
  );
  if (!list.data) return <Pending error={list.error} retry={() => void list.refetch()} />;
  if (list.data.length === 0) {
    return (
      <div className="panel">
        <EmptyState title={t('task.xcom.empty')} command={'def my_task(ti):\n    ti.xcom_push(key="rows", value=42)'}>
          {t('task.xcom.empty.text')}
        </EmptyState>
      </div>
    );
  }
  const key = url.get('key') ?? '';
  const chosen =
    list.data.find((each) => each.key === key) ??
    list.data.find((each) => each.key === 'return_value') ??
    (list.data[0] as XCom);
  const at = (name: string) => {
    const search = new URLSearchParams(url);
    search.set('key', name);
    return `${location.pathname}?${search}`;
  };
  return (
    <div className={`panel ${classes.split}`}>
      <ul className={classes.keys}>
        {list.data.map((each) => (
          <li key={each.key}>
            <Link to={at(each.key)} replace aria-current={each === chosen ? 'true' : undefined}>
              <span className="mono">{each.key}</span>
              <span className="dim number">{formatBytes(each.size)}</span>
            </Link>
          </li>
        ))}
      </ul>
      <Value key={chosen.key} path={path} mapIndex={mapIndex} name={chosen.key} />
    </div>
  );
}

type ValueProps = { path: { dag_id: string; run_id: string; task_id: string }; mapIndex: number; name: string };

function Value({ path, mapIndex, name }: ValueProps) {
  const [view, setView] = useState<'tree' | 'text'>('tree');
  const one = useQuery(
    query('/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/xcoms/{key}', {
      path: { ...path, key: name },
      query: { map_index: mapIndex },
    }),
  );
  const parsed = useMemo(() => parse(one.data), [one.data]);
  if (!one.data) return <Pending error={one.error} retry={() => void one.refetch()} />;
  const text = one.data.value ?? '';
  const asTree = view === 'tree' && parsed !== undefined;
  return (
    <div className={classes.value}>
      <div className={classes.valueHead}>
        {parsed !== undefined && (
          <SegmentedControl
            aria-label={t('task.xcom.view')}
            value={view}
            onChange={(next) => setView(next as 'tree' | 'text')}
            data={[
              { value: 'tree', label: t('task.xcom.tree') },
              { value: 'text', label: t('task.xcom.text') },
            ]}
          />
        )}
        {one.data.truncated && (
          <span className="dim">{t('task.xcom.truncated', { size: formatBytes(one.data.size) })}</span>
        )}
        <CopyButton text={text} />
      </div>
      {asTree ? (
        <JsonTree value={parsed} />
      ) : (
        <pre className={parts.pre} tabIndex={0}>
          {text}
        </pre>
      )}
    </div>
  );
}

function parse(xcom: XCom | undefined): unknown {
  if (!xcom?.value || xcom.truncated) return undefined;
  try {
    return JSON.parse(xcom.value) as unknown;
  } catch {
    return undefined;
  }
}
