/** Who one is here, and one's password. */
import { Button, PasswordInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { api } from '@/api/client';
import { queryClient } from '@/api/queries';
import { useSession } from '@/api/session';
import { PageHeader } from '@/components/PageHeader';
import { messageOf } from '@/components/Pending';
import { Time } from '@/components/Time';
import { toastDone } from '@/components/toasts';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './AccountPage.module.css';

export default function AccountPage() {
  const session = useSession();
  return (
    <>
      <PageHeader title={t('account.title')} />
      <div className={classes.columns}>
        <section className={classes.panel}>
          <h2>{t('account.you')}</h2>
          <dl className={classes.facts}>
            <dt>{t('account.name')}</dt>
            <dd>{session.display_name || session.username}</dd>
            <dt>{t('account.username')}</dt>
            <dd className="mono">{session.username}</dd>
            <dt>{t('account.role')}</dt>
            <dd>{t(session.role ? `account.role.${session.role}` : 'account.role.none')}</dd>
            {session.grants.length > 0 && (
              <>
                <dt>{t('account.grants')}</dt>
                <dd>
                  {session.grants.map((grant) => (
                    <div key={grant.pattern}>
                      <span className="mono">{grant.pattern}</span> {grant.role}
                    </div>
                  ))}
                </dd>
              </>
            )}
            <dt>{t('account.expires')}</dt>
            <dd>
              <Time at={session.expires_at} none={t('shared.never')} />
            </dd>
            <dt>{t('account.version')}</dt>
            <dd>{session.version}</dd>
          </dl>
          <p className="dim">
            {t('account.tokens')} <Link to={to.tokens()}>{t('account.tokens.link')}</Link>
          </p>
        </section>
        <PasswordPanel hasPassword={session.has_password} username={session.username} />
      </div>
    </>
  );
}

const SHORTEST = 12;

function PasswordPanel({ hasPassword, username }: { hasPassword: boolean; username: string }) {
  const [old, setOld] = useState('');
  const [fresh, setFresh] = useState('');
  const [again, setAgain] = useState('');
  const change = useMutation({
    mutationFn: () => api.put('/session/password', { body: { old: hasPassword ? old : null, new: fresh } }),
    onSuccess: () => {
      setOld('');
      setFresh('');
      setAgain('');
      toastDone(t('account.password.done'));
      void queryClient.invalidateQueries({ queryKey: ['/session'] });
    },
  });
  const differ = again !== '' && again !== fresh;
  const ready = fresh.length >= SHORTEST && again === fresh && (!hasPassword || old !== '');
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate();
  };
  const action = hasPassword ? t('account.password.change') : t('account.password.set');
  return (
    <section className={classes.panel}>
      <h2>{action}</h2>
      <form onSubmit={onSubmit} className={classes.form}>
        {!hasPassword && <p className="dim">{t('account.password.hint')}</p>}
        <input type="text" name="username" autoComplete="username" value={username} readOnly hidden />
        {hasPassword && (
          <PasswordInput
            label={t('account.password.old')}
            autoComplete="current-password"
            value={old}
            onChange={(event) => setOld(event.currentTarget.value)}
          />
        )}
        <PasswordInput
          label={t('account.password.new')}
          description={t('account.password.short')}
          autoComplete="new-password"
          value={fresh}
          onChange={(event) => setFresh(event.currentTarget.value)}
        />
        <PasswordInput
          label={t('account.password.again')}
          autoComplete="new-password"
          error={differ ? t('account.password.differ') : undefined}
          value={again}
          onChange={(event) => setAgain(event.currentTarget.value)}
        />
        {change.error && (
          <div role="alert" className={classes.error}>
            {messageOf(change.error)}
          </div>
        )}
        <Button type="submit" disabled={!ready} loading={change.isPending}>
          {action}
        </Button>
      </form>
    </section>
  );
}
