/** Clears or marks task instances of runs, after the server has said which ones it would touch. */
import { Checkbox, Group, SegmentedControl } from '@mantine/core';
import { useState } from 'react';
import { api } from '@/api/client';
import { ConfirmTouch } from '@/components/ConfirmTouch';
import { toastDone } from '@/components/toasts';
import { wordOf } from '@/states/states';
import { t } from '@/texts';

/** tasks null: all of the runs' tasks. */
export type Target = { kind: 'clear' | 'mark'; runs: readonly string[]; tasks: readonly string[] | null; what: string };
const STATES = ['success', 'failed', 'skipped'] as const;

export function TouchDialog({ dagId, target, onClose }: { dagId: string; target: Target; onClose: () => void }) {
  const [upstream, setUpstream] = useState(false);
  const [downstream, setDownstream] = useState(target.kind === 'clear' && target.tasks !== null);
  const [onlyFailed, setOnlyFailed] = useState(false);
  const [state, setState] = useState<(typeof STATES)[number]>('success');
  const path = { dag_id: dagId };
  const choice = { runs: [...target.runs], tasks: target.tasks && [...target.tasks], upstream, downstream };
  const send = (dryRun: boolean, signal?: AbortSignal) =>
    target.kind === 'clear'
      ? api.post('/dags/{dag_id}/clear', {
          path,
          body: { ...choice, only_failed: onlyFailed, dry_run: dryRun },
          signal,
        })
      : api.post('/dags/{dag_id}/mark', { path, body: { ...choice, state, dry_run: dryRun }, signal });
  return (
    <ConfirmTouch
      opened
      onClose={onClose}
      title={
        target.kind === 'clear'
          ? t('dag.clear.title', { what: target.what })
          : t('dag.mark.title', { what: target.what })
      }
      action={target.kind === 'clear' ? t('dag.clear') : t('dag.mark.as', { state: wordOf(state) })}
      dryRun={{ key: [dagId, target, upstream, downstream, onlyFailed, state], ask: (signal) => send(true, signal) }}
      act={async () => {
        const { total } = await send(false);
        toastDone(
          target.kind === 'clear'
            ? t('dag.clear.done', { count: total })
            : t('dag.mark.done', { count: total, state: wordOf(state) }),
        );
      }}
    >
      <Group gap="lg">
        {target.kind === 'mark' && (
          <SegmentedControl
            aria-label={t('dag.mark.state')}
            value={state}
            onChange={(value) => setState(value as typeof state)}
            data={STATES.map((value) => ({ value, label: wordOf(value) }))}
          />
        )}
        {target.tasks && (
          <>
            <Checkbox
              label={t('dag.touch.upstream')}
              checked={upstream}
              onChange={(event) => setUpstream(event.currentTarget.checked)}
            />
            <Checkbox
              label={t('dag.touch.downstream')}
              checked={downstream}
              onChange={(event) => setDownstream(event.currentTarget.checked)}
            />
          </>
        )}
        {target.kind === 'clear' && (
          <Checkbox
            label={t('dag.clear.onlyFailed')}
            checked={onlyFailed}
            onChange={(event) => setOnlyFailed(event.currentTarget.checked)}
          />
        )}
      </Group>
    </ConfirmTouch>
  );
}
