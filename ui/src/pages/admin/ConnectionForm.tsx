import { Autocomplete, Checkbox, NumberInput, PasswordInput, TextInput, Textarea } from '@mantine/core';
import { useState } from 'react';
import { api } from '@/api/client';
import type { Connection } from '@/api/schema';
import { toastDone } from '@/components/toasts';
import { t } from '@/texts';
import classes from './Admin.module.css';
import { FormDialog, slash } from './FormDialog';
import { type Field, TYPES, fieldName, usualPort } from './connectionTypes';
import { readObject } from './transfer';

type Props = { connection: Connection | null; onClose: () => void; onSaved: () => void };

/** The fields follow the type; one that the type does not use is shown only where it has something in it. */
export function ConnectionForm({ connection, onClose, onSaved }: Props) {
  const [id, setId] = useState(connection?.conn_id ?? '');
  const [type, setType] = useState(connection?.conn_type ?? 'postgres');
  const [values, setValues] = useState({
    description: connection?.description ?? '',
    host: connection?.host ?? '',
    login: connection?.login ?? '',
    schema: connection?.schema ?? '',
  });
  const [port, setPort] = useState<number | string>(connection?.port ?? '');
  const [password, setPassword] = useState('');
  const [removes, setRemoves] = useState(false);
  const [extra, setExtra] = useState(() =>
    connection && Object.keys(connection.extra ?? {}).length ? JSON.stringify(connection.extra, null, 2) : '',
  );
  const parsed = readObject(extra);
  const wrong =
    'wrong' in parsed
      ? parsed.wrong
        ? t('admin.wrongJson', { text: parsed.wrong })
        : t('admin.wrongJson.object')
      : undefined;
  const set = (name: keyof typeof values) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    setValues((now) => ({ ...now, [name]: value }));
  };
  const labelOf = (field: Field, filled: boolean): string | null => {
    const name = fieldName(type, field);
    return name ? t(name as 'connections.host') : filled ? t(`connections.${field}`) : null;
  };
  const save = async () => {
    if ('wrong' in parsed) return;
    const conn_id = id.trim();
    await api.put('/connections/{conn_id}', {
      path: { conn_id },
      body: {
        conn_type: type.trim(),
        description: values.description || null,
        host: values.host || null,
        port: port === '' ? null : Number(port),
        login: values.login || null,
        schema: values.schema || null,
        ...(removes ? { password: '' } : password ? { password } : {}),
        extra: parsed.value as never,
      },
    });
    toastDone(t('connections.saved', { id: conn_id }));
    onSaved();
  };
  const host = labelOf('host', values.host !== '');
  const portLabel = labelOf('port', port !== '');
  const login = labelOf('login', values.login !== '');
  const passwordLabel = labelOf('password', connection?.has_password ?? false);
  const schema = labelOf('schema', values.schema !== '');
  return (
    <FormDialog
      onClose={onClose}
      title={connection ? t('connections.change.title', { id: connection.conn_id }) : t('connections.new.title')}
      action={connection ? t('shared.save') : t('admin.create')}
      submit={save}
      ready={id.trim() !== '' && !slash(id) && type.trim() !== '' && !wrong}
    >
      {(errors) => (
        <>
          <div className={connection ? undefined : classes.halves}>
            {!connection && (
              <TextInput
                label={t('connections.id')}
                required
                value={id}
                error={slash(id) ?? errors.conn_id}
                onChange={(event) => setId(event.currentTarget.value)}
                data-autofocus
              />
            )}
            <Autocomplete
              size="xs"
              label={t('connections.type')}
              description={t('connections.type.hint')}
              inputWrapperOrder={['label', 'input', 'description', 'error']}
              required
              data={[...TYPES]}
              value={type}
              onChange={setType}
              error={errors.conn_type}
            />
          </div>
          {(host || portLabel) && (
            <div className={host && portLabel ? classes.pair : undefined}>
              {host && <TextInput label={host} value={values.host} onChange={set('host')} error={errors.host} />}
              {portLabel && (
                <NumberInput
                  label={portLabel}
                  placeholder={usualPort(type)?.toString()}
                  min={1}
                  max={65535}
                  allowDecimal={false}
                  hideControls
                  thousandSeparator=""
                  value={port}
                  onChange={setPort}
                  error={errors.port}
                />
              )}
            </div>
          )}
          {(login || passwordLabel) && (
            <div className={login && passwordLabel ? classes.halves : undefined}>
              {login && (
                <TextInput
                  label={login}
                  autoComplete="off"
                  value={values.login}
                  onChange={set('login')}
                  error={errors.login}
                />
              )}
              {passwordLabel && (
                <PasswordInput
                  label={passwordLabel}
                  autoComplete="new-password"
                  description={connection?.has_password ? t('connections.password.kept') : undefined}
                  inputWrapperOrder={['label', 'input', 'description', 'error']}
                  value={password}
                  disabled={removes}
                  onChange={(event) => setPassword(event.currentTarget.value)}
                  error={errors.password}
                />
              )}
            </div>
          )}
          {connection?.has_password && (
            <Checkbox
              label={t('connections.password.remove')}
              checked={removes}
              onChange={(event) => setRemoves(event.currentTarget.checked)}
            />
          )}
          {schema && <TextInput label={schema} value={values.schema} onChange={set('schema')} error={errors.schema} />}
          <Textarea
            className={classes.mono}
            label={t('connections.extra')}
            description={t('connections.extra.hint')}
            placeholder={'{"timeout": 30}'}
            autosize
            minRows={3}
            maxRows={14}
            value={extra}
            onChange={(event) => setExtra(event.currentTarget.value)}
            error={wrong ?? errors.extra}
          />
          <TextInput
            label={t('admin.description')}
            value={values.description}
            onChange={set('description')}
            error={errors.description}
          />
        </>
      )}
    </FormDialog>
  );
}
