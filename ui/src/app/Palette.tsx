/** Go anywhere, or do something, by typing: pages, dags, actions. */
import { Modal, useMantineColorScheme } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, type ReactNode, useEffect, useId, useMemo, useRef, useState } from 'react';
import { IconKeyboard, IconLogout, IconMoon, IconTopologyStar3 } from '@tabler/icons-react';
import { query } from '@/api/queries';
import { logOut, useMay } from '@/api/session';
import { useReturnFocus } from '@/components/Dialog';
import { toastError } from '@/components/toasts';
import { to } from '@/routing/paths';
import { navigate } from '@/routing/router';
import { t } from '@/texts';
import classes from './Palette.module.css';
import { sections } from './pages';

type Entry = { key: string; group: string; label: string; hint?: string; icon: ReactNode; act: () => void };

export function Palette({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const entries = useEntries(text, onHelp);
  const listId = useId();
  const list = useRef<HTMLDivElement>(null);
  useReturnFocus(true);
  useEffect(() => setAt(0), [text]);
  useEffect(() => list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' }), [at]);
  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.act();
  };
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && entries.length > 0) {
      event.preventDefault();
      setAt((at + step + entries.length) % entries.length);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      choose(entries[at]);
    }
  };
  return (
    <Modal.Root opened returnFocus={false} onClose={onClose} padding={0} size={560} centered={false} yOffset="12vh">
      <Modal.Overlay backgroundOpacity={0.45} />
      <Modal.Content aria-label={t('palette.title')}>
        <input
          className={classes.input}
          role="combobox"
          aria-expanded="true"
          aria-controls={listId}
          aria-activedescendant={entries[at] ? `${listId}-${at}` : undefined}
          aria-label={t('palette.placeholder')}
          placeholder={t('palette.placeholder')}
          data-autofocus
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKey}
        />
        <div className={classes.list} role="listbox" id={listId} ref={list} aria-label={t('palette.title')}>
          {entries.length === 0 && <div className={classes.nothing}>{t('palette.nothing', { text })}</div>}
          {entries.map((entry, index) => (
            <div key={entry.key}>
              {entry.group !== entries[index - 1]?.group && (
                <div className={classes.group} role="presentation">
                  {entry.group}
                </div>
              )}
              <div
                role="option"
                id={`${listId}-${index}`}
                aria-selected={index === at}
                className={classes.entry}
                onMouseMove={() => setAt(index)}
                onClick={() => choose(entry)}
              >
                {entry.icon}
                <span className="cut">{entry.label}</span>
                {entry.hint && <span className={classes.hint}>{entry.hint}</span>}
              </div>
            </div>
          ))}
        </div>
        <div className={classes.foot}>{t('palette.hint')}</div>
      </Modal.Content>
    </Modal.Root>
  );
}

function useEntries(text: string, onHelp: () => void): Entry[] {
  const may = useMay();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const wanted = text.trim().toLowerCase();
  const [search] = useDebouncedValue(text.trim(), 120);
  const dags = useQuery({
    ...query('/dags', { query: { search: search || undefined, limit: 8 } }),
    placeholderData: keepPreviousData,
  });
  return useMemo(() => {
    const pages: Entry[] = sections
      .flatMap((section) => section.pages)
      .filter((page) => !page.needs || may(page.needs))
      .map((page) => ({
        key: page.to,
        group: t('palette.pages'),
        label: t(page.text),
        icon: <page.icon size={16} aria-hidden />,
        act: () => navigate(page.to),
      }));
    const found: Entry[] = (dags.data?.items ?? []).map((dag) => ({
      key: `dag ${dag.dag_id}`,
      group: t('palette.dags'),
      label: dag.dag_id,
      hint: dag.tags.join(' '),
      icon: <IconTopologyStar3 size={16} aria-hidden />,
      act: () => navigate(to.dag(dag.dag_id)),
    }));
    const dark =
      colorScheme === 'dark' || (colorScheme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
    const action = (key: string, label: string, icon: ReactNode, act: () => void): Entry => ({
      key,
      group: t('palette.actions'),
      label,
      icon,
      act,
    });
    const actions = [
      action('theme', t('help.theme'), <IconMoon size={16} aria-hidden />, () =>
        setColorScheme(dark ? 'light' : 'dark'),
      ),
      action('help', t('help.title'), <IconKeyboard size={16} aria-hidden />, onHelp),
      action('out', t('shell.logOut'), <IconLogout size={16} aria-hidden />, () => void logOut().catch(toastError)),
    ];
    const fits = (entry: Entry) => !wanted || entry.label.toLowerCase().includes(wanted);
    const dagsFirst = wanted ? [...found, ...pages.filter(fits)] : [...pages, ...found];
    return [...dagsFirst, ...actions.filter(fits)];
  }, [wanted, dags.data, may, colorScheme, setColorScheme, onHelp]);
}
