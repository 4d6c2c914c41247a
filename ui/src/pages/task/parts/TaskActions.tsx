/** Clear and mark: what it will touch is shown first. */
import { Button, Checkbox, Menu } from '@mantine/core';
import { IconChevronDown, IconEraser } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '@/api/client';
import { useMay } from '@/api/session';
import type { Touched } from '@/api/schema';
import { ConfirmTouch } from '@/components/ConfirmTouch';
import { StateIcon } from '@/components/StateIcon';
import { toastDone } from '@/components/toasts';
import { wordOf } from '@/states/states';
import { t } from '@/texts';
import classes from './parts.module.css';

type Mark = 'success' | 'failed' | 'skipped';
type Doing = { what: 'clear' } | { what: 'mark'; state: Mark };
type Props = {
  dagId: string;
  runId: string;
  taskId: string;
  /** null: all instances. */ mapIndex: number | null;
  mapped: boolean;
  state?: string;
};

export function TaskActions({ dagId, runId, taskId, mapIndex, mapped, state }: Props) {
  const may = useMay();
  const client = useQueryClient();
  const [doing, setDoing] = useState<Doing | null>(null);
  const [last, setLast] = useState<Doing>({ what: 'clear' });
  const [upstream, setUpstream] = useState(false);
  const [downstream, setDownstream] = useState(true);
  const [onlyFailed, setOnlyFailed] = useState(false);
  const [all, setAll] = useState(mapIndex === null);
  if (!may('editor', dagId)) return null;

  const begin = (next: Doing) => {
    setUpstream(false);
    setDownstream(next.what === 'clear');
    setOnlyFailed(false);
    setAll(mapIndex === null);
    setDoing(next);
    setLast(next);
  };
  const choice = {
    runs: [runId],
    tasks: [taskId],
    map_index: !all && mapIndex !== null && mapIndex >= 0 ? mapIndex : null,
    upstream,
    downstream,
  };
  const ask = (dry_run: boolean, signal?: AbortSignal): Promise<Touched> =>
    last.what === 'clear'
      ? api.post('/dags/{dag_id}/clear', {
          path: { dag_id: dagId },
          body: { ...choice, only_failed: onlyFailed, dry_run },
          signal,
        })
      : api.post('/dags/{dag_id}/mark', {
          path: { dag_id: dagId },
          body: { ...choice, state: last.state, dry_run },
          signal,
        });
  const name = mapIndex !== null && mapIndex >= 0 && !all ? `${taskId}[${mapIndex}]` : taskId;
  return (
    <>
      <Button
        variant="default"
        leftSection={<IconEraser size={14} aria-hidden />}
        onClick={() => begin({ what: 'clear' })}
      >
        {t('task.clear')}
      </Button>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" rightSection={<IconChevronDown size={14} aria-hidden />}>
            {t('task.mark')}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {(['success', 'failed', 'skipped'] as const)
            .filter((mark) => mark !== state)
            .map((mark) => (
              <Menu.Item
                key={mark}
                leftSection={<StateIcon state={mark} title="" />}
                onClick={() => begin({ what: 'mark', state: mark })}
              >
                {t('task.mark.as', { state: wordOf(mark) })}
              </Menu.Item>
            ))}
        </Menu.Dropdown>
      </Menu>
      <ConfirmTouch
        opened={doing !== null}
        onClose={() => setDoing(null)}
        title={
          last.what === 'clear'
            ? t('task.clear.title', { task: name })
            : t('task.mark.title', { task: name, state: wordOf(last.state) })
        }
        action={last.what === 'clear' ? t('task.clear') : t('task.mark.as', { state: wordOf(last.state) })}
        danger={last.what !== 'mark' || last.state !== 'success'}
        dryRun={{
          key: [dagId, runId, taskId, mapIndex, last, all, upstream, downstream, onlyFailed],
          ask: (signal) => ask(true, signal),
        }}
        act={async () => {
          const done = await ask(false);
          toastDone(
            last.what === 'clear'
              ? t('task.clear.done', { count: done.total })
              : t('task.mark.done', { count: done.total, state: wordOf(last.state) }),
          );
        }}
        onDone={() => void client.invalidateQueries()}
      >
        {last.what === 'clear' ? t('task.clear.text') : t('task.mark.text')}
        <div className={classes.choices}>
          {mapped && mapIndex !== null && (
            <Checkbox
              label={t('task.with.all')}
              checked={all}
              onChange={(event) => setAll(event.currentTarget.checked)}
            />
          )}
          <Checkbox
            label={t('task.with.upstream')}
            checked={upstream}
            onChange={(event) => setUpstream(event.currentTarget.checked)}
          />
          <Checkbox
            label={t('task.with.downstream')}
            checked={downstream}
            onChange={(event) => setDownstream(event.currentTarget.checked)}
          />
          {last.what === 'clear' && (
            <Checkbox
              label={t('task.with.failed')}
              checked={onlyFailed}
              onChange={(event) => setOnlyFailed(event.currentTarget.checked)}
            />
          )}
        </div>
      </ConfirmTouch>
    </>
  );
}
