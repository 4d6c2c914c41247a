/** Variables: values are hidden until they are asked for, secret ones are never shown. */
import { Button, TextInput, Textarea } from '@mantine/core';
import { IconDownload, IconEye, IconEyeOff, IconPlus, IconUpload } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '@/api/client';
import { keyOf, query } from '@/api/queries';
import type { Variable } from '@/api/schema';
import { EmptyState } from '@/components/EmptyState';
import { Filters, SearchFilter } from '@/components/Filters';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { Time } from '@/components/Time';
import { toastDone, toastError } from '@/components/toasts';
import { useLiveQueries } from '@/live/live';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import classes from './Admin.module.css';
import { DeleteDialog } from './DeleteDialog';
import { FormDialog, slash } from './FormDialog';
import { ImportVariables } from './ImportVariables';
import { IconAction, RowActions } from './RowActions';
import { Table } from './Table';
import { saveAs } from './transfer';
import { useDialog } from './useDialog';

type Doing = { what: 'save'; variable: Variable | null } | { what: 'delete'; variable: Variable } | { what: 'import' };

export default function VariablesPage() {
  const client = useQueryClient();
  const dialog = useDialog<Doing>();
  const [url] = useUrlState();
  const list = useQuery(query('/variables'));
  useLiveQueries({ kinds: [], topics: ['variables'] }, [keyOf('/variables'), ['/variables/{key}']]);
  const changed = () =>
    void Promise.all(
      [keyOf('/variables'), ['/variables/{key}']].map((queryKey) => client.invalidateQueries({ queryKey })),
    );
  const search = (url.get('search') ?? '').toLowerCase();
  const shown =
    list.data?.filter(
      (each) => each.key.toLowerCase().includes(search) || each.description?.toLowerCase().includes(search),
    ) ?? [];
  return (
    <div className={classes.page}>
      <PageHeader
        title={t('variables.title')}
        actions={
          <>
            <Button
              variant="default"
              leftSection={<IconUpload size={14} aria-hidden />}
              onClick={() => dialog.show({ what: 'import' })}
            >
              {t('variables.import')}
            </Button>
            {Boolean(list.data?.length) && (
              <Button
                variant="default"
                leftSection={<IconDownload size={14} aria-hidden />}
                onClick={() => void exportAll(list.data ?? []).catch(toastError)}
              >
                {t('variables.export')}
              </Button>
            )}
            <Button
              leftSection={<IconPlus size={14} aria-hidden />}
              onClick={() => dialog.show({ what: 'save', variable: null })}
            >
              {t('variables.new')}
            </Button>
          </>
        }
      >
        {t('variables.lead')}
      </PageHeader>
      {!list.data ? (
        <Pending error={list.error} retry={() => void list.refetch()} />
      ) : list.data.length === 0 ? (
        <div className="panel">
          <EmptyState title={t('variables.empty')} command={'airloom variables set region eu-west'}>
            {t('variables.empty.text')}
          </EmptyState>
        </div>
      ) : (
        <div>
          <Filters names={['search']}>
            <SearchFilter label={t('variables.search')} />
          </Filters>
          {shown.length === 0 ? (
            <p className="dim">{t('admin.noFit')}</p>
          ) : (
            <Table
              heads={[t('variables.key'), t('variables.value'), t('admin.description'), t('admin.updated')]}
              actions
            >
              {shown.map((variable) => (
                <tr key={variable.key}>
                  <td className={classes.name}>{variable.key}</td>
                  <td>
                    <Value name={variable.key} />
                  </td>
                  <td>{variable.description}</td>
                  <td>
                    <Time at={variable.updated_at} relative />
                  </td>
                  <td>
                    <RowActions
                      name={variable.key}
                      onEdit={() => dialog.show({ what: 'save', variable })}
                      onDelete={() => dialog.show({ what: 'delete', variable })}
                    />
                  </td>
                </tr>
              ))}
            </Table>
          )}
        </div>
      )}
      {dialog.open?.what === 'save' && (
        <VariableForm variable={dialog.open.variable} onClose={dialog.close} onSaved={changed} />
      )}
      {dialog.open?.what === 'import' && (
        <ImportVariables known={list.data ?? []} onClose={dialog.close} onDone={changed} />
      )}
      {dialog.open?.what === 'delete' && (
        <DeleteVariable name={dialog.open.variable.key} onClose={dialog.close} onDone={changed} />
      )}
    </div>
  );
}

/** Asked for only when it is to be shown. */
function Value({ name }: { name: string }) {
  const [shown, setShown] = useState(false);
  const one = useQuery({ ...query('/variables/{key}', { path: { key: name } }), enabled: shown });
  return (
    <div className={classes.value}>
      <IconAction
        label={t(shown ? 'variables.hide' : 'variables.show', { key: name })}
        pressed={shown}
        onClick={() => setShown(!shown)}
      >
        {shown ? <IconEyeOff size={15} aria-hidden /> : <IconEye size={15} aria-hidden />}
      </IconAction>
      {!shown ? (
        <span className="dim" aria-hidden="true">
          {t('variables.hidden')}
        </span>
      ) : one.data ? (
        one.data.secret ? (
          <span className="dim">{t('variables.secret')}</span>
        ) : (
          <pre tabIndex={0}>{one.data.value}</pre>
        )
      ) : (
        <span className="dim">{one.error ? one.error.message : '…'}</span>
      )}
    </div>
  );
}

type FormProps = { variable: Variable | null; onClose: () => void; onSaved: () => void };

function VariableForm({ variable, onClose, onSaved }: FormProps) {
  const [key, setKey] = useState(variable?.key ?? '');
  const [description, setDescription] = useState(variable?.description ?? '');
  const [typed, setTyped] = useState<string | null>(null);
  const before = useQuery({ ...query('/variables/{key}', { path: { key } }), enabled: variable !== null });
  const value = typed ?? before.data?.value ?? '';
  const secret = before.data?.secret ?? false;
  const save = async () => {
    await api.put('/variables/{key}', { path: { key: key.trim() }, body: { value, description } });
    toastDone(t('variables.saved', { key: key.trim() }));
    onSaved();
  };
  return (
    <FormDialog
      onClose={onClose}
      title={variable ? t('variables.change.title', { key: variable.key }) : t('variables.new.title')}
      action={variable ? t('shared.save') : t('admin.create')}
      submit={save}
      ready={
        key.trim() !== '' &&
        !slash(key) &&
        (variable === null || (before.data !== undefined && (!secret || typed !== null)))
      }
    >
      {(errors) => (
        <>
          {!variable && (
            <TextInput
              label={t('variables.key')}
              required
              value={key}
              error={slash(key) ?? errors.key}
              onChange={(event) => setKey(event.currentTarget.value)}
              data-autofocus
            />
          )}
          <Textarea
            className={classes.mono}
            label={t('variables.value')}
            description={secret ? t('variables.value.secret') : undefined}
            autosize
            minRows={3}
            maxRows={16}
            value={value}
            error={errors.value}
            onChange={(event) => setTyped(event.currentTarget.value)}
            data-autofocus={variable !== null || undefined}
          />
          <TextInput
            label={t('admin.description')}
            value={description}
            error={errors.description}
            onChange={(event) => setDescription(event.currentTarget.value)}
          />
        </>
      )}
    </FormDialog>
  );
}

function DeleteVariable({ name, onClose, onDone }: { name: string; onClose: () => void; onDone: () => void }) {
  return (
    <DeleteDialog
      onClose={onClose}
      title={t('variables.delete.title', { key: name })}
      send={() => api.delete('/variables/{key}', { path: { key: name } })}
      said={t('variables.deleted', { key: name })}
      onDone={onDone}
    >
      {t('variables.delete.text')}
    </DeleteDialog>
  );
}

async function exportAll(variables: readonly Variable[]): Promise<void> {
  const values: Record<string, string> = {};
  let secret = 0;
  for (const { key } of variables) {
    const one = await api.get('/variables/{key}', { path: { key } });
    if (one.secret || one.value === null) secret += 1;
    else values[key] = one.value;
  }
  saveAs('variables.json', `${JSON.stringify(values, null, 2)}\n`);
  const count = Object.keys(values).length;
  toastDone(secret ? t('variables.exported.without', { count, secret }) : t('variables.exported', { count }));
}
