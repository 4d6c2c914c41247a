/** Makes a run of a dag: a form from its params' JSON Schemas. */
import { Button, Checkbox, Group, TextInput, Textarea } from '@mantine/core';
import { Dialog } from '../Dialog';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, useMemo, useState } from 'react';
import { ApiError, api } from '@/api/client';
import { keyOf, query, queryClient } from '@/api/queries';
import type { DagDetails } from '@/api/schema';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import { Pending, messageOf } from '../Pending';
import { toastDone } from '../toasts';
import { ParamField } from './ParamField';
import classes from './TriggerDialog.module.css';
import { type Param, confOf, fieldOf, fieldsOf, parse } from './params';

/** conf: the form begins with these values instead of the defaults (to make a run like another). */
type Props = { dagId: string; onClose: () => void; onDone?: (runId: string) => void; conf?: Record<string, unknown> };

export function TriggerDialog({ dagId, onClose, onDone, conf }: Props) {
  const dag = useQuery(query('/dags/{dag_id}', { path: { dag_id: dagId } }));
  return (
    <Dialog onClose={onClose} title={t('trigger.title', { dag: dagId })}>
      {dag.data ? (
        <Form dag={dag.data} onClose={onClose} onDone={onDone} given={conf} />
      ) : (
        <Pending error={dag.error} retry={() => void dag.refetch()} />
      )}
    </Dialog>
  );
}

type FormProps = {
  dag: DagDetails;
  onClose: () => void;
  onDone?: (runId: string) => void;
  given?: Record<string, unknown>;
};
const CONF = fieldOf('conf', { value: {}, schema: { type: 'object' } });

function Form({ dag, onClose, onDone, given }: FormProps) {
  const fields = useMemo(() => fieldsOf(dag.params as Record<string, Param>), [dag.params]);
  const [texts, setTexts] = useState<Record<string, string>>(() =>
    Object.fromEntries(
      fields.map((field) => [
        field.name,
        given && field.name in given
          ? fieldOf(field.name, { value: given[field.name], schema: field.schema }).initial
          : field.initial,
      ]),
    ),
  );
  const [confText, setConfText] = useState(given && fields.length === 0 ? JSON.stringify(given, null, 1) : '{}');
  const [tried, setTried] = useState(false);
  const [runId, setRunId] = useState('');
  const [logicalDate, setLogicalDate] = useState('');
  const [note, setNote] = useState('');
  const [unpause, setUnpause] = useState(dag.paused);
  const { conf, problems } = confOf(fields, texts);
  const free = parse(CONF, confText.trim() || '{}');
  const confProblem = fields.length === 0 && 'problem' in free ? free.problem : null;
  const trigger = useMutation({
    mutationFn: async () => {
      const path = { dag_id: dag.dag_id };
      const run = await api.post('/dags/{dag_id}/runs', {
        path,
        body: {
          conf: fields.length === 0 && 'value' in free ? (free.value as Record<string, unknown>) : conf,
          run_id: runId.trim() || null,
          logical_date: logicalDate ? new Date(logicalDate).toISOString() : null,
          note: note.trim() || null,
        },
      });
      if (dag.paused && unpause) await api.patch('/dags/{dag_id}', { path, body: { paused: false } });
      return run;
    },
    onSuccess: (run) => {
      onClose();
      toastDone(t('trigger.done', { dag: dag.dag_id }), {
        to: to.run(run.dag_id, run.run_id),
        label: t('trigger.open'),
      });
      void queryClient.invalidateQueries({ queryKey: keyOf('/dags') });
      onDone?.(run.run_id);
    },
  });
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    setTried(true);
    const wrong = Object.keys(problems)[0];
    if (wrong) event.currentTarget.querySelector<HTMLElement>(`[data-param="${CSS.escape(wrong)}"]`)?.focus();
    else if (!confProblem) trigger.mutate();
  };
  return (
    <form onSubmit={onSubmit} noValidate className={classes.form}>
      {fields.map((field, at) => (
        <ParamField
          key={field.name}
          field={field}
          text={texts[field.name] ?? ''}
          problem={tried || (texts[field.name] ?? '') !== field.initial ? problems[field.name] : undefined}
          onChange={(text) => setTexts((before) => ({ ...before, [field.name]: text }))}
          first={at === 0}
        />
      ))}
      {fields.length === 0 && (
        <Textarea
          label={t('trigger.conf')}
          description={t('trigger.noParams')}
          value={confText}
          onChange={(event) => setConfText(event.currentTarget.value)}
          error={confProblem}
          minRows={3}
          autosize
          maxRows={12}
          classNames={{ input: classes.mono }}
          data-autofocus
        />
      )}
      <details className={classes.more}>
        <summary>{t('trigger.more')}</summary>
        <div className={classes.form}>
          <TextInput
            label={t('trigger.runId')}
            description={t('trigger.runId.hint')}
            value={runId}
            onChange={(event) => setRunId(event.currentTarget.value)}
          />
          <TextInput
            type="datetime-local"
            step={1}
            label={t('trigger.logicalDate')}
            description={t('trigger.logicalDate.hint')}
            value={logicalDate}
            onChange={(event) => setLogicalDate(event.currentTarget.value)}
          />
          <Textarea
            label={t('trigger.note')}
            value={note}
            onChange={(event) => setNote(event.currentTarget.value)}
            autosize
            minRows={2}
            maxRows={8}
          />
        </div>
      </details>
      {dag.paused && (
        <div className={classes.paused}>
          <p>{t('trigger.paused')}</p>
          <Checkbox
            label={t('trigger.unpause')}
            checked={unpause}
            onChange={(event) => setUnpause(event.currentTarget.checked)}
          />
        </div>
      )}
      {trigger.error && (
        <div role="alert" className={classes.error}>
          {messageOf(trigger.error)}
          {trigger.error instanceof ApiError && trigger.error.errors.length > 1 && (
            <ul>
              {trigger.error.errors.map((entry) => (
                <li key={entry.where}>
                  {entry.where}: {entry.text}
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
      <Group justify="flex-end" gap="xs" className="dialog-foot">
        <Button variant="default" onClick={onClose}>
          {t('shared.cancel')}
        </Button>
        <Button type="submit" loading={trigger.isPending}>
          {t('trigger.submit')}
        </Button>
      </Group>
    </form>
  );
}
