/** Login: by the one-time link that the server printed, by password, or by OpenID Connect. */
import { Button, Divider, PasswordInput, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, useEffect, useState } from 'react';
import { ApiError, address, api } from '@/api/client';
import { query } from '@/api/queries';
import type { Login } from '@/api/schema';
import { enter } from '@/api/session';
import { Mark } from '@/app/Mark';
import { Command } from '@/components/Command';
import { Pending, messageOf } from '@/components/Pending';
import { navigate, useSearch } from '@/routing/router';
import { t, textOf } from '@/texts';
import classes from './LoginPage.module.css';

/** The code of a one-time link is taken out of the address at once, so that it is in no history and on no screen. */
function takeCode(): string | null {
  const code = new URLSearchParams(location.hash.slice(1)).get('code');
  if (code) history.replaceState(null, '', location.pathname + location.search);
  return code;
}
const codeOfLink = takeCode();
let codeIsUsed = false;

/** Where one wanted to go; only within this site. */
function target(): string {
  const next = new URLSearchParams(location.search).get('next') ?? '/';
  return next.startsWith('/') && !next.startsWith('//') && !next.includes('\\') ? next : '/';
}

/** The link is of no use; anything else (no connection, too many attempts) has a reason of its own. */
const isRefusal = (error: unknown): boolean => error instanceof ApiError && [401, 403, 404, 422].includes(error.status);

export default function LoginPage() {
  const ways = useQuery(query('/login'));
  const login = useMutation({
    mutationFn: (body: Login) => api.post('/session', { body }),
    onSuccess: (session) => {
      enter(session);
      navigate(target(), { replace: true });
    },
  });
  const { mutate } = login;
  useEffect(() => {
    document.title = t('app.titled', { page: t('login.title') });
    const enterBy = (code: string | null) => code && mutate({ code });
    if (!codeIsUsed) enterBy(codeOfLink);
    codeIsUsed = true;
    // A second link that is opened in this tab changes only the fragment.
    const onHash = () => enterBy(takeCode());
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, [mutate]);
  const refused = textOf(`login.refused.${new URLSearchParams(useSearch()).get('refused')}`);
  const byCode = login.variables?.code != null;
  return (
    <main className={classes.page}>
      <div className={classes.card}>
        <h1 className={classes.title}>
          <Mark size={28} />
          {t('app.name')}
        </h1>
        {byCode && !login.error ? (
          <Pending />
        ) : (
          <>
            {byCode && login.error && (
              <div className={classes.problem} role="alert">
                <strong>{t('login.codeFailed')}</strong>
                {isRefusal(login.error) ? (
                  <>
                    <p>{t('login.codeFailed.text')}</p>
                    <Command text={t('login.codeFailed.command')} />
                  </>
                ) : (
                  <p>{messageOf(login.error)}</p>
                )}
              </div>
            )}
            {refused && !byCode && (
              <div className={classes.problem} role="alert">
                <strong>{t('login.refused')}</strong>
                <p>{refused}</p>
              </div>
            )}
            {!ways.data ? (
              <Pending error={ways.error} retry={() => void ways.refetch()} />
            ) : (
              <>
                {ways.data.password && (
                  <PasswordForm
                    submit={(username, password) => login.mutate({ username, password })}
                    busy={login.isPending}
                    error={byCode ? null : login.error}
                  />
                )}
                {ways.data.password && ways.data.oidc && <Divider label={t('login.or')} my="md" />}
                {ways.data.oidc && (
                  <Button
                    component="a"
                    href={address('/session/oidc', { query: { next: target() } })}
                    variant="default"
                    size="sm"
                    fullWidth
                  >
                    {t('login.oidc', { name: ways.data.oidc })}
                  </Button>
                )}
                {!ways.data.password && !ways.data.oidc && !byCode && (
                  <div className={classes.hint}>
                    <p>{t('login.noPassword')}</p>
                    <Command text={t('login.codeFailed.command')} />
                  </div>
                )}
                {ways.data.password && <p className={classes.hint}>{t('login.askAdmin')}</p>}
              </>
            )}
          </>
        )}
      </div>
    </main>
  );
}

type FormProps = { submit: (username: string, password: string) => void; busy: boolean; error: unknown };

function PasswordForm({ submit, busy, error }: FormProps) {
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    submit(username.trim(), password);
  };
  return (
    <form onSubmit={onSubmit} className={classes.form}>
      <TextInput
        size="sm"
        label={t('login.username')}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        autoFocus
        value={username}
        onChange={(event) => setUsername(event.currentTarget.value)}
      />
      <PasswordInput
        size="sm"
        label={t('login.password')}
        autoComplete="current-password"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
      <div role="alert" className={classes.error}>
        {error ? messageOf(error) : null}
      </div>
      <Button type="submit" size="sm" fullWidth loading={busy} disabled={!username.trim() || !password}>
        {t('login.submit')}
      </Button>
    </form>
  );
}
