/** What can be done to a run; each says first what it will touch. */
import { Button, Menu } from '@mantine/core';
import { IconBan, IconChevronDown, IconDots, IconEraser, IconPlayerPlay } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '@/api/client';
import type { Run, Touched } from '@/api/schema';
import { ConfirmTouch } from '@/components/ConfirmTouch';
import { StateIcon } from '@/components/StateIcon';
import { toastDone } from '@/components/toasts';
import parts from '@/pages/task/parts/parts.module.css';
import { to } from '@/routing/paths';
import { isFinished, wordOf } from '@/states/states';
import { t } from '@/texts';

type Mark = 'success' | 'failed';
type Doing =
  { what: 'clear'; onlyFailed: boolean } | { what: 'mark'; state: Mark } | { what: 'cancel' } | { what: 'again' };

export function RunActions({ run }: { run: Run }) {
  const client = useQueryClient();
  const [doing, setDoing] = useState<Doing | null>(null);
  const [last, setLast] = useState<Doing>({ what: 'again' });
  const begin = (next: Doing) => {
    setLast(next);
    setDoing(next);
  };
  const action = actionOf(run, last);
  const unfinished = !isFinished(run.state);
  return (
    <>
      <Button
        variant="default"
        leftSection={<IconPlayerPlay size={14} aria-hidden />}
        onClick={() => begin({ what: 'again' })}
      >
        {t('run.again')}
      </Button>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button
            variant="default"
            leftSection={<IconEraser size={14} aria-hidden />}
            rightSection={<IconChevronDown size={14} aria-hidden />}
          >
            {t('run.clear')}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            disabled={!run.counts?.failed && !run.counts?.upstream_failed}
            onClick={() => begin({ what: 'clear', onlyFailed: true })}
          >
            {t('run.clear.failed')}
          </Menu.Item>
          <Menu.Item onClick={() => begin({ what: 'clear', onlyFailed: false })}>{t('run.clear.all')}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {unfinished && (
        <Button
          variant="default"
          leftSection={<IconBan size={14} aria-hidden />}
          onClick={() => begin({ what: 'cancel' })}
        >
          {t('run.cancel')}
        </Button>
      )}
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" px={8} aria-label={t('run.more')}>
            <IconDots size={16} aria-hidden />
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {(['success', 'failed'] as const)
            .filter((state) => state !== run.state)
            .map((state) => (
              <Menu.Item
                key={state}
                leftSection={<StateIcon state={state} title="" />}
                onClick={() => begin({ what: 'mark', state })}
              >
                {t('run.mark.as', { state: wordOf(state) })}
              </Menu.Item>
            ))}
        </Menu.Dropdown>
      </Menu>
      <ConfirmTouch
        opened={doing !== null}
        onClose={() => setDoing(null)}
        title={action.title}
        action={action.button}
        danger={last.what !== 'again' && !(last.what === 'mark' && last.state === 'success')}
        dryRun={action.dryRun && { key: [run.dag_id, run.run_id, last], ask: action.dryRun }}
        alone={last.what === 'mark' || last.what === 'cancel' ? t('run.alone') : undefined}
        act={action.act}
        onDone={() => void client.invalidateQueries()}
      >
        {action.text}
        {last.what === 'again' && Object.keys(run.conf).length > 0 && (
          <pre className={parts.pre} tabIndex={0}>
            {JSON.stringify(run.conf, null, 2)}
          </pre>
        )}
      </ConfirmTouch>
    </>
  );
}

type Action = {
  title: string;
  button: string;
  text: string;
  dryRun?: (signal: AbortSignal) => Promise<Touched>;
  act: () => Promise<unknown>;
};

function actionOf(run: Run, doing: Doing): Action {
  const path = { dag_id: run.dag_id, run_id: run.run_id };
  const mark = (state: Mark, dry_run: boolean, signal?: AbortSignal) =>
    api.post('/dags/{dag_id}/runs/{run_id}/mark', { path, body: { state, dry_run }, signal });
  if (doing.what === 'clear') {
    const clear = (dry_run: boolean, signal?: AbortSignal) =>
      api.post('/dags/{dag_id}/clear', {
        path: { dag_id: run.dag_id },
        body: { runs: [run.run_id], only_failed: doing.onlyFailed, upstream: false, downstream: false, dry_run },
        signal,
      });
    return {
      title: doing.onlyFailed ? t('run.clear.failed.title') : t('run.clear.all.title'),
      button: t('run.clear'),
      text: t('run.clear.text'),
      dryRun: (signal) => clear(true, signal),
      act: async () => toastDone(t('run.clear.done', { count: (await clear(false)).total })),
    };
  }
  if (doing.what === 'mark') {
    const state = wordOf(doing.state);
    return {
      title: t('run.mark.title', { state }),
      button: t('run.mark.as', { state }),
      text: t('run.mark.text', { state }),
      dryRun: (signal) => mark(doing.state, true, signal),
      act: async () => {
        await mark(doing.state, false);
        toastDone(t('run.mark.done', { state }));
      },
    };
  }
  if (doing.what === 'cancel') {
    return {
      title: t('run.cancel.title'),
      button: t('run.cancel'),
      text: t('run.cancel.text'),
      dryRun: (signal) => mark('failed', true, signal),
      act: async () => {
        await api.post('/dags/{dag_id}/runs/{run_id}/cancel', { path });
        toastDone(t('run.cancel.done'));
      },
    };
  }
  return {
    title: t('run.again.title', { dag: run.dag_id }),
    button: t('run.again'),
    text: Object.keys(run.conf).length ? t('run.again.text') : t('run.again.noConf'),
    act: async () => {
      const made = await api.post('/dags/{dag_id}/runs', { path: { dag_id: run.dag_id }, body: { conf: run.conf } });
      toastDone(t('run.again.done'), { to: to.run(run.dag_id, made.run_id), label: t('run.again.open') });
    },
  };
}
