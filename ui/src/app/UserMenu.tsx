import { Menu, UnstyledButton, useMantineColorScheme } from '@mantine/core';
import { IconKey, IconLogout, IconUserCircle } from '@tabler/icons-react';
import { logOut, useSession } from '@/api/session';
import { toastError } from '@/components/toasts';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { t } from '@/texts';
import classes from './UserMenu.module.css';

const THEMES = [
  ['light', 'shell.theme.light'],
  ['dark', 'shell.theme.dark'],
  ['auto', 'shell.theme.auto'],
] as const;

/** Who is logged in: account, tokens, theme, log out. */
export function UserMenu() {
  const session = useSession();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const name = session.display_name || session.username;
  return (
    <Menu position="bottom-end" width={240} withinPortal={false} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <UnstyledButton className={classes.button} aria-label={t('shell.userMenu')}>
          <span aria-hidden="true">{name.slice(0, 1).toUpperCase()}</span>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('shell.loggedInAs', { name, role: session.role ?? t('shell.roleByGrants') })}</Menu.Label>
        <Menu.Item component={Link} to={to.account()} leftSection={<IconUserCircle size={15} aria-hidden />}>
          {t('shell.account')}
        </Menu.Item>
        <Menu.Item component={Link} to={to.tokens()} leftSection={<IconKey size={15} aria-hidden />}>
          {t('shell.tokens')}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Label>{t('shell.theme')}</Menu.Label>
        <Menu.RadioGroup value={colorScheme} onChange={(value) => setColorScheme(value as typeof colorScheme)}>
          {THEMES.map(([scheme, text]) => (
            <Menu.RadioItem key={scheme} value={scheme}>
              {t(text)}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Item onClick={() => void logOut().catch(toastError)} leftSection={<IconLogout size={15} aria-hidden />}>
          {t('shell.logOut')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
