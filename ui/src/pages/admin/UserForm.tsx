import { ActionIcon, Button, NativeSelect, PasswordInput, TextInput } from '@mantine/core';
import { IconPlus, IconX } from '@tabler/icons-react';
import { useState } from 'react';
import { api } from '@/api/client';
import type { GrantText, User } from '@/api/schema';
import type { RoleName } from '@/api/session';
import { toastDone } from '@/components/toasts';
import { t } from '@/texts';
import classes from './Admin.module.css';
import { FormDialog } from './FormDialog';

export const ROLES: readonly RoleName[] = ['viewer', 'editor', 'operator', 'admin'];
export const roleOptions = () =>
  ROLES.map((role) => ({ value: role, label: `${t(`role.${role}`)}: ${t(`role.${role}.text`)}` }));

type Props = { user: User | null; onClose: () => void; onSaved: () => void };

/** A new user, or what can be changed of one. */
export function UserForm({ user, onClose, onSaved }: Props) {
  const [username, setUsername] = useState(user?.username ?? '');
  const [name, setName] = useState(user?.display_name ?? '');
  const [email, setEmail] = useState(user?.email ?? '');
  const [role, setRole] = useState<string>(user ? (user.role ?? '') : 'viewer');
  const [grants, setGrants] = useState<GrantText[]>(user?.grants ?? []);
  const [password, setPassword] = useState('');
  const save = async () => {
    const given = grants
      .filter((grant) => grant.pattern.trim())
      .map((grant) => ({ ...grant, pattern: grant.pattern.trim() }));
    const secret = password ? { password } : {};
    if (user) {
      const chosen = role ? { role: role as RoleName } : { no_role: true };
      await api.patch('/users/{username}', {
        path: { username: user.username },
        body: {
          display_name: name,
          email: email || (user.email ? '' : null),
          no_role: false,
          ...chosen,
          grants: given,
          ...secret,
        },
      });
    } else {
      await api.post('/users', {
        body: {
          username: username.trim(),
          display_name: name,
          email: email || null,
          role: (role || null) as RoleName | null,
          grants: given,
          ...secret,
        },
      });
    }
    toastDone(t('users.saved', { name: username.trim() }));
    onSaved();
  };
  return (
    <FormDialog
      onClose={onClose}
      title={user ? t('users.change.title', { name: user.username }) : t('users.new.title')}
      action={user ? t('shared.save') : t('admin.create')}
      submit={save}
      ready={username.trim() !== ''}
    >
      {(errors) => (
        <>
          {!user && (
            <TextInput
              label={t('users.username')}
              required
              autoComplete="off"
              value={username}
              error={errors.username}
              onChange={(event) => setUsername(event.currentTarget.value)}
              data-autofocus
            />
          )}
          <div className={classes.halves}>
            <TextInput
              label={t('users.displayName')}
              value={name}
              error={errors.display_name}
              onChange={(event) => setName(event.currentTarget.value)}
            />
            <TextInput
              label={t('users.email')}
              type="email"
              value={email}
              error={errors.email}
              onChange={(event) => setEmail(event.currentTarget.value)}
            />
          </div>
          <NativeSelect
            label={t('users.role.everything')}
            value={role}
            error={errors.role}
            onChange={(event) => setRole(event.currentTarget.value)}
            data={[{ value: '', label: t('users.role.none') }, ...roleOptions()]}
          />
          <Grants grants={grants} onChange={setGrants} errors={errors} />
          <PasswordInput
            label={user?.has_password ? t('users.password.new') : t('users.password')}
            description={user ? t('users.password.change.hint') : t('users.password.hint')}
            inputWrapperOrder={['label', 'input', 'description', 'error']}
            autoComplete="new-password"
            value={password}
            error={errors.password}
            onChange={(event) => setPassword(event.currentTarget.value)}
          />
        </>
      )}
    </FormDialog>
  );
}

type GrantsProps = {
  grants: readonly GrantText[];
  onChange: (grants: GrantText[]) => void;
  errors: Record<string, string>;
};

function Grants({ grants, onChange, errors }: GrantsProps) {
  const change = (at: number, part: Partial<GrantText>) =>
    onChange(grants.map((grant, index) => (index === at ? { ...grant, ...part } : grant)));
  return (
    <fieldset className={classes.fieldset}>
      <legend className={classes.label}>{t('users.grants')}</legend>
      <p className="dim">{t('users.grants.text')}</p>
      <div className={classes.grants}>
        {grants.map((grant, at) => (
          <div key={at} className={classes.grant}>
            <TextInput
              aria-label={t('users.grants.pattern')}
              placeholder="sales_*"
              value={grant.pattern}
              error={errors[`grants.${at}.pattern`]}
              onChange={(event) => change(at, { pattern: event.currentTarget.value })}
            />
            <NativeSelect
              aria-label={t('users.role')}
              value={grant.role}
              data={ROLES.map((role) => ({ value: role, label: t(`role.${role}`) }))}
              onChange={(event) => change(at, { role: event.currentTarget.value as RoleName })}
            />
            <ActionIcon
              variant="subtle"
              color="gray"
              size={30}
              aria-label={t('users.grants.remove')}
              onClick={() => onChange(grants.filter((_, index) => index !== at))}
            >
              <IconX size={15} aria-hidden />
            </ActionIcon>
          </div>
        ))}
        <div>
          <Button
            variant="subtle"
            leftSection={<IconPlus size={14} aria-hidden />}
            onClick={() => onChange([...grants, { pattern: '', role: 'viewer' }])}
          >
            {t('users.grants.add')}
          </Button>
        </div>
      </div>
    </fieldset>
  );
}
