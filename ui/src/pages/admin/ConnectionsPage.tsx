/** Connections: how tasks reach other systems; what is secret of them is never here. */
import { Button } from '@mantine/core';
import { IconKey, IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api } from '@/api/client';
import { keyOf, query } from '@/api/queries';
import type { Connection } from '@/api/schema';
import { EmptyState } from '@/components/EmptyState';
import { Filters, SearchFilter } from '@/components/Filters';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { Time } from '@/components/Time';
import { useLiveQueries } from '@/live/live';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import classes from './Admin.module.css';
import { ConnectionForm } from './ConnectionForm';
import { DeleteDialog } from './DeleteDialog';
import { RowActions } from './RowActions';
import { Table } from './Table';
import { useDialog } from './useDialog';

type Doing = { what: 'save'; connection: Connection | null } | { what: 'delete'; connection: Connection };

export default function ConnectionsPage() {
  const client = useQueryClient();
  const dialog = useDialog<Doing>();
  const [url] = useUrlState();
  const list = useQuery(query('/connections'));
  useLiveQueries({ kinds: [], topics: ['connections'] }, [keyOf('/connections')]);
  const changed = () => void client.invalidateQueries({ queryKey: keyOf('/connections') });
  const search = (url.get('search') ?? '').toLowerCase();
  const shown =
    list.data?.filter((each) =>
      [each.conn_id, each.conn_type, each.host, each.description].some((text) => text?.toLowerCase().includes(search)),
    ) ?? [];
  return (
    <div className={classes.page}>
      <PageHeader
        title={t('connections.title')}
        actions={
          <Button
            leftSection={<IconPlus size={14} aria-hidden />}
            onClick={() => dialog.show({ what: 'save', connection: null })}
          >
            {t('connections.new')}
          </Button>
        }
      >
        {t('connections.lead')}
      </PageHeader>
      {!list.data ? (
        <Pending error={list.error} retry={() => void list.refetch()} />
      ) : list.data.length === 0 ? (
        <div className="panel">
          <EmptyState
            title={t('connections.empty')}
            command="airloom connections add warehouse type=postgres host=db.example.com login=reader"
          >
            {t('connections.empty.text')}
          </EmptyState>
        </div>
      ) : (
        <div>
          <Filters names={['search']}>
            <SearchFilter label={t('connections.search')} />
          </Filters>
          {shown.length === 0 ? (
            <p className="dim">{t('admin.noFit')}</p>
          ) : (
            <ConnectionTable
              connections={shown}
              onEdit={(connection) => dialog.show({ what: 'save', connection })}
              onDelete={(connection) => dialog.show({ what: 'delete', connection })}
            />
          )}
        </div>
      )}
      {dialog.open?.what === 'save' && (
        <ConnectionForm connection={dialog.open.connection} onClose={dialog.close} onSaved={changed} />
      )}
      {dialog.open?.what === 'delete' && (
        <DeleteConnection id={dialog.open.connection.conn_id} onClose={dialog.close} onDone={changed} />
      )}
    </div>
  );
}

type TableProps = {
  connections: readonly Connection[];
  onEdit: (connection: Connection) => void;
  onDelete: (connection: Connection) => void;
};

function ConnectionTable({ connections, onEdit, onDelete }: TableProps) {
  return (
    <Table
      heads={[
        t('connections.id'),
        t('connections.type'),
        t('connections.where'),
        t('admin.description'),
        t('admin.updated'),
      ]}
      actions
    >
      {connections.map((connection) => (
        <tr key={connection.conn_id}>
          <td className={classes.name}>{connection.conn_id}</td>
          <td>{connection.conn_type}</td>
          <td>
            {connection.readable === false ? (
              <span className={classes.chip} data-kind="off">
                {t('connections.unreadable')}
              </span>
            ) : (
              <>
                <span className="mono">{whereIs(connection)}</span>{' '}
                {connection.has_password && <IconKey size={14} role="img" aria-label={t('connections.hasPassword')} />}
              </>
            )}
          </td>
          <td>{connection.description}</td>
          <td>
            <Time at={connection.updated_at} relative />
          </td>
          <td>
            <RowActions
              name={connection.conn_id}
              onEdit={() => onEdit(connection)}
              onDelete={() => onDelete(connection)}
            />
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** `user@host:port/schema`, of what there is. */
export function whereIs({ login, host, port, schema }: Pick<Connection, 'login' | 'host' | 'port' | 'schema'>): string {
  return `${login ? `${login}@` : ''}${host ?? ''}${port ? `:${port}` : ''}${schema ? `/${schema}` : ''}`;
}

function DeleteConnection({ id, onClose, onDone }: { id: string; onClose: () => void; onDone: () => void }) {
  return (
    <DeleteDialog
      onClose={onClose}
      title={t('connections.delete.title', { id })}
      send={() => api.delete('/connections/{conn_id}', { path: { conn_id: id } })}
      said={t('connections.deleted', { id })}
      onDone={onDone}
    >
      {t('connections.delete.text')}
    </DeleteDialog>
  );
}
