/** API tokens: one's own, and for administrators everybody's. A secret is shown once. */
import { Button, Checkbox, NativeSelect, NumberInput, TextInput, Textarea } from '@mantine/core';
import { Dialog } from '@/components/Dialog';
import { IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '@/api/client';
import { keyOf, pages } from '@/api/queries';
import type { Token, TokenSecret } from '@/api/schema';
import { type RoleName, useMay, useSession } from '@/api/session';
import { Command } from '@/components/Command';
import { EmptyState } from '@/components/EmptyState';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { Time } from '@/components/Time';
import { useLiveQueries } from '@/live/live';
import { t } from '@/texts';
import classes from './Admin.module.css';
import { DeleteDialog } from './DeleteDialog';
import { FormDialog } from './FormDialog';
import { RowActions } from './RowActions';
import { Table } from './Table';
import { ROLES, roleOptions } from './UserForm';
import { useDialog } from './useDialog';

type Doing = { what: 'new' } | { what: 'secret'; made: TokenSecret } | { what: 'delete'; token: Token };

export default function TokensPage() {
  const client = useQueryClient();
  const may = useMay();
  const session = useSession();
  const dialog = useDialog<Doing>();
  const list = useInfiniteQuery(pages('/tokens', { query: { limit: 200 } }));
  useLiveQueries({ kinds: [], topics: ['accounts'] }, [keyOf('/tokens')]);
  const changed = () => void client.invalidateQueries({ queryKey: keyOf('/tokens') });
  const tokens = list.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div className={classes.page}>
      <PageHeader
        title={t('tokens.title')}
        actions={
          session.kind === 'session' && (
            <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={() => dialog.show({ what: 'new' })}>
              {t('tokens.new')}
            </Button>
          )
        }
      >
        {may('admin') ? t('tokens.lead.admin') : t('tokens.lead')}
      </PageHeader>
      {!list.data ? (
        <Pending error={list.error} retry={() => void list.refetch()} />
      ) : tokens.length === 0 ? (
        <div className="panel">
          <EmptyState title={t('tokens.empty')} command={`airloom --server ${location.origin} dags list`}>
            {t('tokens.empty.text')}
          </EmptyState>
        </div>
      ) : (
        <>
          <TokenTable tokens={tokens} onDelete={(token) => dialog.show({ what: 'delete', token })} />
          {list.hasNextPage && (
            <div>
              <Button variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                {t('shared.more')}
              </Button>
            </div>
          )}
        </>
      )}
      {dialog.open?.what === 'new' && (
        <TokenForm
          onClose={dialog.close}
          onMade={(made) => {
            changed();
            // The form closes itself when it is done; what follows is opened after that.
            setTimeout(() => dialog.show({ what: 'secret', made }));
          }}
        />
      )}
      {dialog.open?.what === 'secret' && <SecretDialog made={dialog.open.made} onClose={dialog.close} />}
      {dialog.open?.what === 'delete' && (
        <DeleteToken token={dialog.open.token} onClose={dialog.close} onDone={changed} />
      )}
    </div>
  );
}

function TokenTable({ tokens, onDelete }: { tokens: readonly Token[]; onDelete: (token: Token) => void }) {
  return (
    <Table
      heads={[
        t('tokens.name'),
        t('tokens.owner'),
        t('tokens.role'),
        t('tokens.dags'),
        t('tokens.made'),
        t('tokens.expires'),
        t('tokens.used'),
      ]}
      actions
    >
      {tokens.map((token) => (
        <tr key={token.id}>
          <td className={classes.name}>{token.name}</td>
          <td>{token.username}</td>
          <td>{token.role ? t(`role.${token.role}`) : <span className="dim">{t('tokens.role.asUser')}</span>}</td>
          <td>{token.dags ? token.dags.join(', ') : <span className="dim">{t('tokens.dags.all')}</span>}</td>
          <td>
            <Time at={token.created_at} relative />
          </td>
          <td>
            <Time at={token.expires_at} relative none={t('shared.never')} />
          </td>
          <td>
            <Time at={token.used_at} relative none={t('shared.never')} />
          </td>
          <td>
            <RowActions name={token.name} onDelete={() => onDelete(token)} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

function TokenForm({ onClose, onMade }: { onClose: () => void; onMade: (made: TokenSecret) => void }) {
  const session = useSession();
  const [name, setName] = useState('');
  const [role, setRole] = useState('');
  const [dags, setDags] = useState('');
  const [days, setDays] = useState<number | string>(90);
  const [forever, setForever] = useState(false);
  const own = session.role ? ROLES.indexOf(session.role) : ROLES.length;
  const make = async () => {
    const patterns = dags
      .split(/[\n,]/)
      .map((text) => text.trim())
      .filter(Boolean);
    const body = {
      name: name.trim(),
      role: (role || null) as RoleName | null,
      dags: patterns.length ? patterns : null,
      days: forever ? null : Number(days),
    };
    onMade(await api.post('/tokens', { body }));
  };
  return (
    <FormDialog
      onClose={onClose}
      title={t('tokens.new.title')}
      action={t('admin.create')}
      submit={make}
      ready={name.trim() !== '' && (forever || Number(days) > 0)}
    >
      {(errors) => (
        <>
          <TextInput
            label={t('tokens.name')}
            description={t('tokens.name.hint')}
            inputWrapperOrder={['label', 'input', 'description', 'error']}
            required
            value={name}
            error={errors.name}
            onChange={(event) => setName(event.currentTarget.value)}
            data-autofocus
          />
          <NativeSelect
            label={t('tokens.role')}
            value={role}
            error={errors.role}
            onChange={(event) => setRole(event.currentTarget.value)}
            data={[{ value: '', label: t('tokens.role.asYou') }, ...roleOptions().slice(0, own + 1)]}
          />
          <Textarea
            className={classes.mono}
            label={t('tokens.dags')}
            description={t('tokens.dags.hint')}
            inputWrapperOrder={['label', 'input', 'description', 'error']}
            placeholder="sales_*"
            autosize
            minRows={2}
            value={dags}
            error={errors.dags}
            onChange={(event) => setDags(event.currentTarget.value)}
          />
          <NumberInput
            label={t('tokens.expiry')}
            suffix=" d"
            min={1}
            max={3650}
            disabled={forever}
            value={days}
            error={errors.days}
            onChange={setDays}
          />
          <Checkbox
            label={t('tokens.expiry.never')}
            checked={forever}
            onChange={(event) => setForever(event.currentTarget.checked)}
          />
        </>
      )}
    </FormDialog>
  );
}

function SecretDialog({ made, onClose }: { made: TokenSecret; onClose: () => void }) {
  return (
    <Dialog onClose={onClose} closeOnClickOutside={false} title={t('tokens.secret.title')}>
      <div className={classes.form}>
        <p>{t('tokens.secret.text')}</p>
        <Command text={made.token} />
        <p className="dim">{t('tokens.secret.use')}</p>
        <Command text={`curl -H 'Authorization: Bearer ${made.token}' ${location.origin}/api/v1/dags`} />
      </div>
    </Dialog>
  );
}

function DeleteToken({ token, onClose, onDone }: { token: Token; onClose: () => void; onDone: () => void }) {
  return (
    <DeleteDialog
      onClose={onClose}
      title={t('tokens.delete.title', { name: token.name })}
      send={() => api.delete('/tokens/{token_id}', { path: { token_id: token.id } })}
      said={t('tokens.deleted', { name: token.name })}
      onDone={onDone}
    >
      {t('tokens.delete.text')}
    </DeleteDialog>
  );
}
