import { Button, Group } from '@mantine/core';
import { Dialog } from './Dialog';
import { useMutation, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Touched } from '@/api/schema';
import { t } from '@/texts';
import classes from './ConfirmTouch.module.css';
import { messageOf } from './Pending';
import { toastError } from './toasts';

type Props = {
  /** Shown while it is set. */
  opened: boolean;
  onClose: () => void;
  title: string;
  /** The word on the button that does it. */
  action: string;
  danger?: boolean;
  /** Asks the API with dry_run. The key is what it is asked with: a change of it asks again. */
  dryRun?: { key: readonly unknown[]; ask: (signal: AbortSignal) => Promise<Touched> };
  /** What is said when no task instance is touched and there is something to do all the same. */
  alone?: string;
  act: () => Promise<unknown>;
  onDone?: () => void;
  /** Choices, or a sentence about what will happen. */
  children?: ReactNode;
};

/** A dangerous action: it says first what it will touch, as the server sees it, and then does it. */
export function ConfirmTouch({
  opened,
  onClose,
  title,
  action,
  danger = true,
  dryRun,
  alone,
  act,
  onDone,
  children,
}: Props) {
  const touched = useQuery({
    queryKey: ['dry-run', ...(dryRun?.key ?? [])],
    queryFn: ({ signal }) => dryRun!.ask(signal),
    enabled: opened && dryRun !== undefined,
    gcTime: 0,
    staleTime: 0,
  });
  const doing = useMutation({
    mutationFn: act,
    onSuccess: () => {
      onClose();
      onDone?.();
    },
    onError: toastError,
  });
  const none = dryRun !== undefined && touched.data?.total === 0;
  const unsure = dryRun !== undefined && !touched.data;
  return (
    <Dialog opened={opened} onClose={onClose} title={title}>
      {children && <div className={classes.children}>{children}</div>}
      {dryRun && (
        <div className={classes.touched} aria-live="polite">
          {touched.error ? (
            <span className={classes.error}>{messageOf(touched.error)}</span>
          ) : !touched.data ? (
            <span className="dim">{t('confirm.looking')}</span>
          ) : none ? (
            (alone ?? t('confirm.touchesNothing'))
          ) : (
            <TouchedList touched={touched.data} />
          )}
        </div>
      )}
      <Group justify="flex-end" gap="xs" mt="md">
        <Button variant="default" onClick={onClose}>
          {t('shared.cancel')}
        </Button>
        <Button
          color={danger ? 'red' : undefined}
          disabled={(none && !alone) || unsure}
          loading={doing.isPending}
          onClick={() => doing.mutate()}
          data-autofocus={!dryRun || undefined}
        >
          {action}
        </Button>
      </Group>
    </Dialog>
  );
}

const SHOWN = 200;

/** What was, or would be, touched. */
function TouchedList({ touched }: { touched: Touched }) {
  const rest = touched.total - Math.min(SHOWN, touched.instances.length);
  const runs = new Set(touched.instances.map((instance) => instance.slice(0, instance.indexOf('/') + 1)));
  // What all are of is said once.
  const [run] = runs.size === 1 ? runs : [''];
  return (
    <>
      <p className={classes.lead}>
        {run
          ? t('confirm.touchesIn', { count: touched.total, run: run.slice(0, -1) })
          : t('confirm.touches', { count: touched.total })}
      </p>
      <ul className={classes.list} tabIndex={0}>
        {touched.instances.slice(0, SHOWN).map((instance) => (
          <li key={instance}>{instance.slice(run!.length)}</li>
        ))}
        {rest > 0 && <li className="dim">{t('confirm.andMore', { count: rest })}</li>}
      </ul>
    </>
  );
}
