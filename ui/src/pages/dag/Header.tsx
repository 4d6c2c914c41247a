/** The head of a dag's page: what it is, when it runs next, and what can be done with it. */
import { Badge, Button, Switch } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { IconCalendarRepeat, IconFileCode, IconPlayerPlay, IconUser } from '@tabler/icons-react';
import { useState } from 'react';
import { api } from '@/api/client';
import { keyOf } from '@/api/queries';
import type { DagDetails } from '@/api/schema';
import { useMay } from '@/api/session';
import { PageHeader } from '@/components/PageHeader';
import { Upcoming } from '@/components/Time';
import { toastError } from '@/components/toasts';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './Header.module.css';
import { TriggerDialog } from '@/components/trigger/TriggerDialog';

export const CRUMBS = [{ label: t('shell.dags'), to: to.dags() }];

export function Header({ dag }: { dag: DagDetails }) {
  const may = useMay()('editor', dag.dag_id) && dag.can_edit;
  const [triggers, setTriggers] = useState(false);
  const shown = dag.display_name && dag.display_name !== dag.dag_id ? dag.display_name : null;
  return (
    <PageHeader
      title={shown ?? dag.dag_id}
      crumbs={CRUMBS}
      after={
        <>
          {shown && <code className="dim">{dag.dag_id}</code>}
          {dag.tags.map((tag) => (
            <Link key={tag} to={to.dags({ tag })} className={classes.tag}>
              {tag}
            </Link>
          ))}
          {!dag.active && (
            <Badge color="gray" variant="outline" tt="none">
              {t('dag.inactive')}
            </Badge>
          )}
        </>
      }
      actions={
        <>
          <Paused dag={dag} may={may} />
          {may && dag.active && (
            <Button leftSection={<IconPlayerPlay size={14} aria-hidden />} onClick={() => setTriggers(true)}>
              {t('dag.trigger')}
            </Button>
          )}
          {triggers && <TriggerDialog dagId={dag.dag_id} onClose={() => setTriggers(false)} />}
        </>
      }
    >
      {dag.description && <p className={classes.description}>{dag.description}</p>}
      <ul className={classes.facts}>
        <li>
          <IconCalendarRepeat size={14} aria-hidden />
          {dag.schedule}
          {dag.timezone !== 'UTC' && ` (${dag.timezone})`}
        </li>
        <li>
          {t('dag.nextRun')}{' '}
          {dag.paused ? (
            t('dag.paused').toLowerCase()
          ) : dag.next_run_after ? (
            <Upcoming at={dag.next_run_after} />
          ) : (
            t('dag.noNextRun')
          )}
        </li>
        <li>
          <IconUser size={14} aria-hidden />
          <span className="visually-hidden" hidden>
            {t('dag.owner')}
          </span>
          {dag.owner}
        </li>
        <li>
          <Link to={to.dag(dag.dag_id, 'code')} className={classes.file}>
            <IconFileCode size={14} aria-hidden />
            {dag.rel_path}
          </Link>
          {t('dag.versionOf', { version: dag.version })}
        </li>
        {dag.has_import_errors && (
          <li className={classes.wrong}>
            <Link to={to.importErrors()}>{t('dag.hasImportErrors')}</Link>
          </li>
        )}
      </ul>
    </PageHeader>
  );
}

function Paused({ dag, may }: { dag: DagDetails; may: boolean }) {
  const client = useQueryClient();
  const path = { dag_id: dag.dag_id };
  const key = keyOf('/dags/{dag_id}', { path });
  const pause = useMutation({
    mutationFn: (paused: boolean) => api.patch('/dags/{dag_id}', { path, body: { paused } }),
    // The switch moves at once; should the server refuse, it moves back.
    onMutate: (paused) => client.setQueryData<DagDetails>(key, (before) => before && { ...before, paused }),
    onError: (error) => toastError(error),
    onSettled: () => client.invalidateQueries({ queryKey: key }),
  });
  return (
    <Switch
      checked={!dag.paused}
      disabled={!may || !dag.active}
      onChange={(event) => pause.mutate(!event.currentTarget.checked)}
      className={classes.paused}
      label={dag.paused ? t('dag.paused') : t('dag.active')}
    />
  );
}
