/** The table of workers, and what who may orders of one. */
import { IconPlayerPause, IconPlayerPlay, IconPlayerStop } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { api } from '@/api/client';
import { keyOf } from '@/api/queries';
import type { Worker } from '@/api/schema';
import { useMay } from '@/api/session';
import { ConfirmTouch } from '@/components/ConfirmTouch';
import { EmptyState } from '@/components/EmptyState';
import { Time } from '@/components/Time';
import { formatBytes } from '@/components/bytes';
import { formatDuration, millis, useNow } from '@/components/time';
import { toastDone } from '@/components/toasts';
import { t } from '@/texts';
import classes from './Admin.module.css';
import { UseBar } from './PoolsPage';
import { IconAction, RowActions } from './RowActions';
import { Table } from './Table';
import { useDialog } from './useDialog';

type Verb = 'drain' | 'resume' | 'stop';
type Doing = { verb: Verb; worker: Worker };

/** Seconds by which a clock may be wrong before it is spoken of. */
const CLOCK = 2;

/** What can be ordered of a worker as it is. One that is away can be drained: it finds the order when it is back. */
export function ordersFor(worker: Pick<Worker, 'status' | 'remote' | 'ordered_by'>): readonly Verb[] {
  if (!worker.remote) return [];
  if (worker.status === 'running' || worker.status === 'cut_off') return ['drain', 'stop'];
  if (worker.status === 'drained') return ['resume', 'stop'];
  if (worker.status === 'silent') return [worker.ordered_by ? 'resume' : 'drain'];
  return [];
}

const ICONS = { drain: IconPlayerPause, resume: IconPlayerPlay, stop: IconPlayerStop } as const;
const LABELS = { drain: 'workers.drain.named', resume: 'workers.resume.named', stop: 'workers.stop.named' } as const;

export function Workers({ workers }: { workers: readonly Worker[] }) {
  const may = useMay();
  const dialog = useDialog<Doing>();
  if (workers.length === 0) {
    return (
      <div className="panel">
        <EmptyState title={t('workers.none')} command="airloom worker -q default">
          {t('workers.none.text')}
        </EmptyState>
      </div>
    );
  }
  const acts = may('operator') && workers.some((worker) => worker.remote);
  const heads = {
    worker: t('workers.col.worker'),
    state: t('workers.col.state'),
    queues: t('workers.queues'),
    slots: t('workers.col.slots'),
    memory: t('workers.col.memory'),
    heartbeat: t('workers.col.heartbeat'),
  };
  return (
    <>
      <Table heads={Object.values(heads)} actions={acts} stacks>
        {workers.map((worker) => (
          <tr key={worker.id} data-dim={worker.status === 'silent' || undefined}>
            <td>
              <div className={classes.name}>{worker.name}</div>
              <div className="dim">
                {worker.name.startsWith(worker.host) ? worker.executor : `${worker.host} · ${worker.executor}`}
                {' · '}
                <span title={t('workers.col.version')}>{worker.version}</span>
              </div>
            </td>
            <td data-label={heads.state}>
              <Status worker={worker} />
            </td>
            <td data-label={heads.queues} className={classes.queues}>
              {worker.queues.length ? (
                <ul className={classes.chips}>
                  {worker.queues.map((queue) => (
                    <li key={queue} className={classes.chip} data-kind="role" title={queue}>
                      {queue}
                    </li>
                  ))}
                </ul>
              ) : (
                <span className="dim">{t('shared.any')}</span>
              )}
            </td>
            <td data-label={heads.slots} className={classes.slots}>
              <UseBar used={worker.running} slots={worker.slots ?? null} />
            </td>
            <td className="number" data-label={heads.memory}>
              {worker.memory > 0 ? (
                <>
                  <div>{t('workers.memory.free', { size: formatBytes(worker.memory_free) })}</div>
                  <div className="dim">{t('workers.memory.all', { size: formatBytes(worker.memory) })}</div>
                </>
              ) : (
                <span className="dim">–</span>
              )}
            </td>
            <td data-label={heads.heartbeat}>
              <Time at={worker.seen_at} relative />
              <Clock ahead={worker.clock} />
            </td>
            {acts && (
              <td>
                <RowActions name={worker.name}>
                  {ordersFor(worker).map((verb) => {
                    const Icon = ICONS[verb];
                    return (
                      <IconAction
                        key={verb}
                        label={t(LABELS[verb], { name: worker.name })}
                        onClick={() => dialog.show({ verb, worker })}
                      >
                        <Icon size={15} aria-hidden />
                      </IconAction>
                    );
                  })}
                </RowActions>
              </td>
            )}
          </tr>
        ))}
      </Table>
      {dialog.open && <Order {...dialog.open} onClose={dialog.close} />}
    </>
  );
}

const KINDS = { running: 'on', cut_off: 'off', drained: 'held', stopping: 'held', silent: 'off' } as const;

function Status({ worker }: { worker: Worker }) {
  const now = useNow(worker.status === 'silent');
  const seen = millis(worker.seen_at) ?? now;
  return (
    <>
      <span className={classes.chip} data-kind={KINDS[worker.status]}>
        {worker.status === 'silent'
          ? t('workers.state.silent', { time: formatDuration((now - seen) / 1000) })
          : t(`workers.state.${worker.status}`)}
      </span>
      {worker.ordered_by && (
        <div className={`dim ${classes.small}`}>
          {t('workers.orderedBy', { who: worker.ordered_by })} <Time at={worker.ordered_at} relative />
        </div>
      )}
      {worker.trouble && <div className={classes.warning}>{worker.trouble}</div>}
    </>
  );
}

function Clock({ ahead }: { ahead: number }) {
  if (Math.abs(ahead) <= CLOCK) return null;
  const time = formatDuration(Math.abs(ahead));
  return (
    <div className={classes.warning}>
      {ahead > 0 ? t('workers.clock.ahead', { time }) : t('workers.clock.behind', { time })}
    </div>
  );
}

const PATHS = {
  drain: '/workers/{name}/drain',
  resume: '/workers/{name}/resume',
  stop: '/workers/{name}/stop',
} as const;

function Order({ verb, worker, onClose }: Doing & { onClose: () => void }) {
  const client = useQueryClient();
  const name = worker.name;
  return (
    <ConfirmTouch
      opened
      onClose={onClose}
      title={t(LABELS[verb], { name })}
      action={t(`workers.${verb}`)}
      danger={verb === 'stop'}
      act={async () => {
        await api.post(PATHS[verb], { path: { name } });
        toastDone(t(`workers.${verb}.done`, { name }));
      }}
      onDone={() => {
        for (const path of ['/workers', '/queues'] as const) void client.invalidateQueries({ queryKey: keyOf(path) });
      }}
    >
      {t(`workers.${verb}.text`)}
      {verb !== 'resume' && worker.running > 0 && (
        <p>
          <strong>{t('workers.has', { count: worker.running })}</strong>
        </p>
      )}
    </ConfirmTouch>
  );
}
