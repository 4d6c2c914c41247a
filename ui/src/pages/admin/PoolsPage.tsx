/** Pools: how full they are, who holds them, who waits and at which place. */
import { Button, Checkbox, NumberInput, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { ApiError, api } from '@/api/client';
import { keyOf, query } from '@/api/queries';
import type { Pool, PoolMember } from '@/api/schema';
import { useMay } from '@/api/session';
import { EmptyState } from '@/components/EmptyState';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { Time } from '@/components/Time';
import { toastDone } from '@/components/toasts';
import { useLiveQueries } from '@/live/live';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { navigate } from '@/routing/router';
import { t } from '@/texts';
import classes from './Admin.module.css';
import { DeleteDialog } from './DeleteDialog';
import { FormDialog, slash } from './FormDialog';
import { RowActions } from './RowActions';
import { Table } from './Table';
import { useDialog } from './useDialog';

type Doing = { what: 'save'; pool: Pool | null; name?: string } | { what: 'delete'; pool: Pool };

export default function PoolsPage({ name }: { name?: string }) {
  const may = useMay();
  const client = useQueryClient();
  const dialog = useDialog<Doing>();
  const list = useQuery({ ...query('/pools'), refetchInterval: 10_000 });
  useLiveQueries({ kinds: ['pools', 'tis'], topics: ['processes'] }, [keyOf('/pools'), ['/pools/{name}']], 800);
  const changed = () =>
    void client
      .invalidateQueries({ queryKey: keyOf('/pools') })
      .then(() => client.invalidateQueries({ queryKey: ['/pools/{name}'] }));
  const mayEdit = may('operator');
  return (
    <div className={classes.page}>
      <PageHeader
        title={t('pools.title')}
        actions={
          mayEdit && (
            <Button
              leftSection={<IconPlus size={14} aria-hidden />}
              onClick={() => dialog.show({ what: 'save', pool: null })}
            >
              {t('pools.new')}
            </Button>
          )
        }
      >
        {t('pools.lead')}
      </PageHeader>
      {!list.data ? (
        <Pending error={list.error} retry={() => void list.refetch()} />
      ) : (
        <Table heads={[t('pools.name'), t('pools.use'), t('pools.waits'), t('admin.description')]} actions={mayEdit}>
          {list.data.map((pool) => (
            <tr key={pool.name} data-chosen={pool.name === name || undefined}>
              <td>
                <Link
                  to={pool.name === name ? to.pools() : to.pool(pool.name)}
                  className={classes.name}
                  aria-expanded={pool.name === name}
                >
                  {pool.name}
                </Link>
              </td>
              <td>
                <UseBar used={pool.used ?? null} slots={pool.slots} />
              </td>
              <td>
                {pool.waiting ? (
                  t('pools.waiting', { count: pool.waiting })
                ) : (
                  <span className="dim">{t('pools.nobodyWaits')}</span>
                )}
              </td>
              <td>
                {pool.description}
                {pool.include_deferred && <div className="dim">{t('pools.deferred')}</div>}
              </td>
              {mayEdit && (
                <td>
                  <RowActions
                    name={pool.name}
                    onEdit={() => dialog.show({ what: 'save', pool })}
                    onDelete={pool.name === 'default_pool' ? undefined : () => dialog.show({ what: 'delete', pool })}
                  />
                </td>
              )}
            </tr>
          ))}
        </Table>
      )}
      {name !== undefined && (
        <Members
          key={name}
          name={name}
          onMake={mayEdit ? () => dialog.show({ what: 'save', pool: null, name }) : undefined}
        />
      )}
      {dialog.open?.what === 'save' && (
        <PoolForm pool={dialog.open.pool} name={dialog.open.name} onClose={dialog.close} onSaved={changed} />
      )}
      {dialog.open?.what === 'delete' && (
        <DeletePool pool={dialog.open.pool} chosen={name} onClose={dialog.close} onDone={changed} />
      )}
    </div>
  );
}

/** How much of something is in use; slots -1 or null: no limit. */
export function UseBar({ used, slots }: { used: number | null; slots: number | null }) {
  const limited = slots !== null && slots >= 0;
  const share = limited && used !== null ? (slots === 0 ? 1 : Math.min(1, used / slots)) : 0;
  const text =
    used === null
      ? limited
        ? t('pools.slotsOnly', { count: slots })
        : t('pools.unlimited')
      : limited
        ? t('pools.useOf', { used, slots })
        : t('pools.useUnlimited', { used });
  return (
    <div className={classes.bar}>
      <div className={classes.track} aria-hidden="true">
        <div className={classes.fill} data-full={share >= 1 || undefined} style={{ width: `${share * 100}%` }} />
      </div>
      <span className={classes.barText}>{text}</span>
    </div>
  );
}

function Members({ name, onMake }: { name: string; onMake?: () => void }) {
  const one = useQuery({ ...query('/pools/{name}', { path: { name } }), retry: false });
  if (one.error instanceof ApiError && one.error.status === 404) {
    return (
      <div className="panel">
        <EmptyState
          title={t('pools.missing', { name })}
          command={`airloom pools set ${name} 4`}
          action={onMake && <Button onClick={onMake}>{t('pools.missing.action', { name })}</Button>}
        >
          {t('pools.missing.text')}
        </EmptyState>
      </div>
    );
  }
  if (!one.data) return <Pending error={one.error} retry={() => void one.refetch()} />;
  return (
    <div className={classes.members}>
      <section className="panel" aria-labelledby="pool-holders">
        <h2 id="pool-holders">{t('pools.holders', { pool: name })}</h2>
        <MemberList members={one.data.holders} none={t('pools.holders.none')} />
      </section>
      <section className="panel" aria-labelledby="pool-waiters">
        <h2 id="pool-waiters">{t('pools.waiters', { pool: name })}</h2>
        <MemberList members={one.data.waiters} none={t('pools.waiters.none')} />
      </section>
    </div>
  );
}

function MemberList({ members, none }: { members: readonly PoolMember[]; none: string }) {
  if (members.length === 0) return <span className="dim">{none}</span>;
  return (
    <ol>
      {members.map((member) => (
        <li key={`${member.dag_id}\n${member.run_id}\n${member.task_id}\n${member.map_index}`}>
          {member.place != null && <span className={classes.place}>{member.place}.</span>}
          <Link
            to={to.task(member.dag_id, member.run_id, member.task_id, { mapIndex: member.map_index })}
            title={member.run_id}
          >
            {member.dag_id} / {member.task_id}
            {member.map_index >= 0 && `[${member.map_index}]`}
          </Link>
          <span className="dim number">{t('pools.member.slots', { count: member.slots })}</span>
          {member.since != null && (
            <span className="dim">
              <Time at={member.since} relative />
            </span>
          )}
        </li>
      ))}
      {members.length >= 100 && <li className="dim">{t('pools.first100')}</li>}
    </ol>
  );
}

type FormProps = { pool: Pool | null; name?: string; onClose: () => void; onSaved: () => void };

function PoolForm({ pool, name: given = '', onClose, onSaved }: FormProps) {
  const [name, setName] = useState(pool?.name ?? given);
  const [slots, setSlots] = useState<number | string>(pool?.slots ?? 4);
  const [description, setDescription] = useState(pool?.description ?? '');
  const [deferred, setDeferred] = useState(pool?.include_deferred ?? false);
  const save = async () => {
    await api.put('/pools/{name}', {
      path: { name: name.trim() },
      body: { slots: Number(slots), description, include_deferred: deferred },
    });
    toastDone(t('pools.saved', { name: name.trim() }));
    onSaved();
  };
  return (
    <FormDialog
      onClose={onClose}
      title={pool ? t('pools.change.title', { name: pool.name }) : t('pools.new.title')}
      action={pool ? t('shared.save') : t('admin.create')}
      submit={save}
      ready={name.trim() !== '' && !slash(name) && slots !== ''}
    >
      {(errors) => (
        <>
          <div className={pool ? undefined : classes.pair}>
            {!pool && (
              <TextInput
                label={t('pools.name')}
                required
                value={name}
                error={slash(name) ?? errors.name}
                onChange={(event) => setName(event.currentTarget.value)}
                data-autofocus
              />
            )}
            <NumberInput
              label={t('pools.slots')}
              description={t('pools.slots.hint')}
              inputWrapperOrder={['label', 'input', 'description', 'error']}
              required
              min={-1}
              allowDecimal={false}
              value={slots}
              onChange={setSlots}
              error={errors.slots}
              data-autofocus={Boolean(pool) || undefined}
            />
          </div>
          <TextInput
            label={t('admin.description')}
            value={description}
            error={errors.description}
            onChange={(event) => setDescription(event.currentTarget.value)}
          />
          <Checkbox
            label={t('pools.deferred')}
            checked={deferred}
            onChange={(event) => setDeferred(event.currentTarget.checked)}
          />
        </>
      )}
    </FormDialog>
  );
}

function DeletePool({
  pool,
  chosen,
  onClose,
  onDone,
}: {
  pool: Pool;
  chosen?: string;
  onClose: () => void;
  onDone: () => void;
}) {
  return (
    <DeleteDialog
      onClose={onClose}
      title={t('pools.delete.title', { name: pool.name })}
      send={async () => {
        await api.delete('/pools/{name}', { path: { name: pool.name } });
        if (chosen === pool.name) navigate(to.pools(), { replace: true });
      }}
      said={t('pools.deleted', { name: pool.name })}
      onDone={onDone}
    >
      {t('pools.delete.text')}
      {Boolean(pool.used || pool.waiting) && (
        <p>
          <strong>{t('pools.delete.now', { used: pool.used ?? 0, waiting: pool.waiting ?? 0 })}</strong>
        </p>
      )}
    </DeleteDialog>
  );
}
