/** What is around every page: header with search, navigation, messages; keyboard; where the focus goes. */
import { ActionIcon, Kbd, UnstyledButton } from '@mantine/core';
import { IconMenu2, IconSearch } from '@tabler/icons-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useMay } from '@/api/session';
import { Toasts } from '@/components/toasts';
import { startLive } from '@/live/live';
import { Link } from '@/routing/Link';
import { to } from '@/routing/paths';
import { navigate, usePath } from '@/routing/router';
import { t } from '@/texts';
import { Help } from './Help';
import { LiveIndicator } from './LiveIndicator';
import { Mark } from './Mark';
import { Palette } from './Palette';
import classes from './Shell.module.css';
import { UserMenu } from './UserMenu';
import { sections } from './pages';

export function Shell({ children }: { children: ReactNode }) {
  const path = usePath();
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const [menu, setMenu] = useState(false);
  useEffect(startLive, []);
  useEffect(() => setMenu(false), [path]);
  useShortcuts({ openPalette: () => setPalette(true), openHelp: () => setHelp(true) });
  useFocusOnNavigation(path);
  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#content">
        {t('shell.skip')}
      </a>
      <header className={classes.header}>
        <ActionIcon
          className={classes.burger}
          variant="subtle"
          color="gray"
          aria-label={t('shell.menu')}
          aria-expanded={menu}
          onClick={() => setMenu(!menu)}
        >
          <IconMenu2 size={18} aria-hidden />
        </ActionIcon>
        <Link to={to.home()} className={classes.brand}>
          <Mark />
          {t('app.name')}
        </Link>
        <UnstyledButton className={classes.search} onClick={() => setPalette(true)} aria-keyshortcuts="/ Control+K">
          <IconSearch size={14} aria-hidden />
          <span>{t('shell.search')}</span>
          <Kbd size="xs">/</Kbd>
        </UnstyledButton>
        <div className={classes.right}>
          <LiveIndicator />
          <UserMenu />
        </div>
      </header>
      <Nav path={path} shown={menu} />
      <main id="content" className={classes.main} tabIndex={-1}>
        {children}
      </main>
      <Toasts />
      {palette && <Palette onClose={() => setPalette(false)} onHelp={() => setHelp(true)} />}
      {help && <Help onClose={() => setHelp(false)} />}
    </div>
  );
}

function Nav({ path, shown }: { path: string; shown: boolean }) {
  const may = useMay();
  const isHere = (address: string) =>
    address === '/' ? path === '/' : path === address || path.startsWith(`${address}/`);
  return (
    <nav className={classes.nav} data-shown={shown || undefined} aria-label={t('shell.nav')}>
      {sections.map((section) => {
        const pages = section.pages.filter((page) => !page.needs || may(page.needs));
        if (pages.length === 0) return null;
        return (
          <div key={section.text} className={classes.section}>
            <div className={classes.sectionName}>{t(section.text)}</div>
            {pages.map((page) => (
              <Link
                key={page.to}
                to={page.to}
                className={classes.link}
                aria-current={isHere(page.to) ? 'page' : undefined}
              >
                <page.icon size={16} stroke={1.7} aria-hidden />
                {t(page.text)}
              </Link>
            ))}
          </div>
        );
      })}
    </nav>
  );
}

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

function useShortcuts({ openPalette, openHelp }: { openPalette: () => void; openHelp: () => void }): void {
  const actions = useRef({ openPalette, openHelp });
  actions.current = { openPalette, openHelp };
  useEffect(() => {
    let went = 0;
    const onKey = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        actions.current.openPalette();
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
      if (document.querySelector('[role="dialog"]')) return;
      if (event.key === '/') {
        event.preventDefault();
        const search = document.querySelector<HTMLElement>('[data-page-search]');
        if (search) search.focus();
        else actions.current.openPalette();
      } else if (event.key === '?') actions.current.openHelp();
      else if (event.key === 'g') went = event.timeStamp;
      else if (event.timeStamp - went < 1500) {
        const page = sections.flatMap((section) => section.pages).find((each) => each.key === event.key);
        went = 0;
        if (page) navigate(page.to);
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

/** After going to another page the focus is on its title, so that a screen reader says where one is. */
function useFocusOnNavigation(path: string): void {
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    const sameIds = ids(before.current) === ids(path);
    before.current = path;
    if (sameIds) return;
    window.scrollTo(0, 0);
    let tries = 0;
    const focus = () => {
      const title = document.getElementById('page-title');
      if (title) title.focus({ preventScroll: true });
      else if (tries++ < 40) timer = setTimeout(focus, 50);
    };
    let timer = setTimeout(focus, 0);
    return () => clearTimeout(timer);
  }, [path]);
}

/** The path without a tab: going from tab to tab leaves the focus where it is. */
const ids = (path: string): string => {
  const parts = path.split('/').filter(Boolean);
  return parts[0] === 'dags' && parts.length % 2 === 1 && parts.length > 1
    ? parts.slice(0, -1).join('/')
    : parts.join('/');
};
