/** Users: who may log in, and what they may do. */
import { Button } from '@mantine/core';
import { Dialog } from '@/components/Dialog';
import { IconLink, IconPlus, IconUserCheck, IconUserOff } from '@tabler/icons-react';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { api } from '@/api/client';
import { keyOf, pages } from '@/api/queries';
import type { LoginLink, User } from '@/api/schema';
import { useSession } from '@/api/session';
import { Command } from '@/components/Command';
import { ConfirmTouch } from '@/components/ConfirmTouch';
import { EmptyState } from '@/components/EmptyState';
import { Filters, SearchFilter } from '@/components/Filters';
import { PageHeader } from '@/components/PageHeader';
import { Pending } from '@/components/Pending';
import { Time } from '@/components/Time';
import { toastDone, toastError } from '@/components/toasts';
import { useLiveQueries } from '@/live/live';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import classes from './Admin.module.css';
import { IconAction, RowActions } from './RowActions';
import { Table } from './Table';
import { UserForm } from './UserForm';
import { useDialog } from './useDialog';

type Doing =
  | { what: 'save'; user: User | null }
  | { what: 'delete' | 'deactivate'; user: User }
  | { what: 'link'; user: User; link: LoginLink };

export default function UsersPage() {
  const client = useQueryClient();
  const dialog = useDialog<Doing>();
  const [url] = useUrlState();
  const list = useInfiniteQuery(pages('/users', { query: { limit: 200 } }));
  useLiveQueries({ kinds: [], topics: ['accounts'] }, [keyOf('/users')]);
  const changed = () => void client.invalidateQueries({ queryKey: keyOf('/users') });
  const link = useMutation({
    mutationFn: (user: User) => api.post('/users/{username}/link', { path: { username: user.username } }),
    onSuccess: (made, user) => dialog.show({ what: 'link', user, link: made }),
    onError: toastError,
  });
  const activate = useMutation({
    mutationFn: (user: User) =>
      api.patch('/users/{username}', { path: { username: user.username }, body: { active: true, no_role: false } }),
    onSuccess: (_, user) => {
      toastDone(t('users.saved', { name: user.username }));
      changed();
    },
    onError: toastError,
  });
  const users = list.data?.pages.flatMap((page) => page.items) ?? [];
  const search = (url.get('search') ?? '').toLowerCase();
  const shown = users.filter((user) =>
    [user.username, user.display_name, user.email].some((text) => text?.toLowerCase().includes(search)),
  );
  return (
    <div className={classes.page}>
      <PageHeader
        title={t('users.title')}
        actions={
          <Button
            leftSection={<IconPlus size={14} aria-hidden />}
            onClick={() => dialog.show({ what: 'save', user: null })}
          >
            {t('users.new')}
          </Button>
        }
      >
        {t('users.lead')}
      </PageHeader>
      {!list.data ? (
        <Pending error={list.error} retry={() => void list.refetch()} />
      ) : users.length === 0 ? (
        <div className="panel">
          <EmptyState title={t('users.empty')} command="airloom users add ada --role editor">
            {t('users.empty.text')}
          </EmptyState>
        </div>
      ) : (
        <div>
          {users.length > 8 && (
            <Filters names={['search']}>
              <SearchFilter label={t('users.search')} />
            </Filters>
          )}
          <UserTable
            users={shown}
            onEdit={(user) => dialog.show({ what: 'save', user })}
            onDelete={(user) => dialog.show({ what: 'delete', user })}
            onLink={(user) => link.mutate(user)}
            onActive={(user) => (user.active ? dialog.show({ what: 'deactivate', user }) : activate.mutate(user))}
          />
          {list.hasNextPage && (
            <Button
              variant="default"
              mt="sm"
              loading={list.isFetchingNextPage}
              onClick={() => void list.fetchNextPage()}
            >
              {t('shared.more')}
            </Button>
          )}
        </div>
      )}
      {dialog.open?.what === 'save' && <UserForm user={dialog.open.user} onClose={dialog.close} onSaved={changed} />}
      {dialog.open?.what === 'link' && (
        <LinkDialog user={dialog.open.user} link={dialog.open.link} onClose={dialog.close} />
      )}
      {(dialog.open?.what === 'delete' || dialog.open?.what === 'deactivate') && (
        <EndDialog what={dialog.open.what} name={dialog.open.user.username} onClose={dialog.close} onDone={changed} />
      )}
    </div>
  );
}

type TableProps = { users: readonly User[] } & Record<
  'onEdit' | 'onDelete' | 'onLink' | 'onActive',
  (user: User) => void
>;

function UserTable({ users, onEdit, onDelete, onLink, onActive }: TableProps) {
  const me = useSession();
  return (
    <Table
      heads={[t('users.username'), t('users.role'), t('users.state'), t('users.way'), t('users.lastLogin')]}
      actions
    >
      {users.map((user) => (
        <tr key={user.username} data-dim={!user.active || undefined}>
          <td>
            <span className={classes.name}>{user.username}</span>
            {user.username === me.username && <span className="dim"> ({t('users.you')})</span>}
            <div className="dim">
              {[user.display_name !== user.username && user.display_name, user.email].filter(Boolean).join(' · ')}
            </div>
          </td>
          <td>
            <RoleChips role={user.role} grants={user.grants} />
          </td>
          <td>
            <span className={classes.chip} data-kind={user.active ? 'on' : 'off'}>
              {user.active ? t('users.active') : t('users.inactive')}
            </span>
          </td>
          <td>
            {[user.has_password && t('users.way.password'), user.oidc && t('users.way.oidc')]
              .filter(Boolean)
              .join(', ') || t('users.way.link')}
          </td>
          <td>
            <Time at={user.last_login_at} relative none={t('shared.never')} />
          </td>
          <td>
            <RowActions
              name={user.username}
              onEdit={() => onEdit(user)}
              onDelete={user.username === me.username ? undefined : () => onDelete(user)}
            >
              {user.active && (
                <IconAction label={`${t('users.link')}: ${user.username}`} onClick={() => onLink(user)}>
                  <IconLink size={15} aria-hidden />
                </IconAction>
              )}
              {user.username !== me.username && (
                <IconAction
                  label={`${t(user.active ? 'users.deactivate' : 'users.activate')}: ${user.username}`}
                  onClick={() => onActive(user)}
                >
                  {user.active ? <IconUserOff size={15} aria-hidden /> : <IconUserCheck size={15} aria-hidden />}
                </IconAction>
              )}
            </RowActions>
          </td>
        </tr>
      ))}
    </Table>
  );
}

function RoleChips({ role, grants }: Pick<User, 'role' | 'grants'>) {
  return (
    <span className={classes.chips}>
      {role && (
        <span className={classes.chip} data-kind="role">
          {t(`role.${role}`)}
        </span>
      )}
      {grants.map((grant) => (
        <span key={`${grant.pattern}\n${grant.role}`} className={classes.chip}>
          {t('users.grants.one', { role: t(`role.${grant.role}`), pattern: grant.pattern })}
        </span>
      ))}
    </span>
  );
}

function LinkDialog({ user, link, onClose }: { user: User; link: LoginLink; onClose: () => void }) {
  return (
    <Dialog onClose={onClose} title={t('users.link.title', { name: user.username })}>
      <div className={classes.form}>
        <p>{t('users.link.text')}</p>
        <Command text={new URL(link.path, location.origin).href} />
        <p className="dim">
          {t('users.link.expires')} <Time at={link.expires_at} relative />
        </p>
      </div>
    </Dialog>
  );
}

function EndDialog({
  what,
  name,
  onClose,
  onDone,
}: {
  what: 'delete' | 'deactivate';
  name: string;
  onClose: () => void;
  onDone: () => void;
}) {
  return (
    <ConfirmTouch
      opened
      onClose={onClose}
      title={t(`users.${what}.title`, { name })}
      action={what === 'delete' ? t('shared.delete') : t('users.deactivate')}
      act={async () => {
        if (what === 'delete') await api.delete('/users/{username}', { path: { username: name } });
        else
          await api.patch('/users/{username}', { path: { username: name }, body: { active: false, no_role: false } });
        toastDone(t(what === 'delete' ? 'users.deleted' : 'users.saved', { name }));
      }}
      onDone={onDone}
    >
      {t(`users.${what}.text`)} {what === 'delete' && <Link to={to.audit({ by: name })}>{t('audit.title')}</Link>}
    </ConfirmTouch>
  );
}
