/** A line of filters that are kept in the address. */
import { Button, CloseButton, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useUrlState } from '@/routing/router';
import { wordOf } from '@/states/states';
import { formatNumber, t } from '@/texts';
import classes from './Filters.module.css';
import { StateIcon } from './StateIcon';

/** names: the filters that `Clear` takes away. after: what is at the end of the line (a count, a button). */
export function Filters({
  names,
  children,
  after,
}: {
  names: readonly string[];
  children: ReactNode;
  after?: ReactNode;
}) {
  const [url, setUrl] = useUrlState();
  const any = names.some((name) => url.get(name));
  const clear = () => setUrl(Object.fromEntries(names.map((name) => [name, null])));
  return (
    <div className={classes.filters} role="search" aria-label={t('shared.filters')}>
      {children}
      {any && (
        <Button variant="subtle" color="gray" onClick={clear}>
          {t('shared.clearFilters')}
        </Button>
      )}
      {after && <div className={classes.after}>{after}</div>}
    </div>
  );
}

/** A search text kept in the address under `name`. `/` focuses the one that is `main`. */
export function SearchFilter({
  name = 'search',
  label,
  main = true,
  width = 260,
}: {
  name?: string;
  label: string;
  main?: boolean;
  width?: number;
}) {
  const [url, setUrl] = useUrlState();
  const kept = url.get(name) ?? '';
  const [text, setText] = useState(kept);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const sent = useRef(kept);
  useEffect(() => {
    // What came from the address (Back, Clear) is shown; what was just typed is not taken back by its own echo.
    if (kept !== sent.current) setText(kept);
    sent.current = kept;
  }, [kept]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const change = (next: string, wait: number) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      sent.current = next.trim();
      setUrl({ [name]: next.trim() });
    }, wait);
  };
  return (
    <TextInput
      w={width}
      value={text}
      onChange={(event) => change(event.currentTarget.value, 200)}
      onKeyDown={(event) => {
        if (event.key === 'Escape') event.currentTarget.blur();
      }}
      placeholder={label}
      aria-label={label}
      data-page-search={main || undefined}
      leftSection={<IconSearch size={14} aria-hidden />}
      rightSection={
        text ? <CloseButton size="xs" aria-label={t('shared.clear')} onClick={() => change('', 0)} /> : undefined
      }
    />
  );
}

type Choice = { value: string; label: ReactNode };

/** One of some values, kept in the address under `name`; the first is what holds when the address says nothing. */
export function ChoiceFilter({ name, label, choices }: { name: string; label: string; choices: readonly Choice[] }) {
  const [url, setUrl] = useUrlState();
  const chosen = url.get(name) ?? choices[0]?.value;
  return (
    <div className={classes.chips} role="group" aria-label={label}>
      {choices.map((choice, at) => (
        <button
          key={choice.value}
          type="button"
          className={classes.chip}
          aria-pressed={choice.value === chosen}
          onClick={() => setUrl({ [name]: at === 0 ? null : choice.value })}
        >
          {choice.label}
        </button>
      ))}
    </div>
  );
}

/** One or none of some states, kept in the address under `name`. */
export function StateFilter({
  states,
  counts,
  name = 'state',
}: {
  states: readonly string[];
  counts?: Record<string, number>;
  name?: string;
}) {
  const all = t('shared.allStates');
  const labels = states.map((state) => (
    <>
      <StateIcon state={state} size={13} title="" />
      {wordOf(state)}
      {counts?.[state] !== undefined && <span className={classes.count}>{formatNumber(counts[state])}</span>}
    </>
  ));
  return (
    <ChoiceFilter
      name={name}
      label={all}
      choices={[{ value: '', label: all }, ...states.map((value, at) => ({ value, label: labels[at] }))]}
    />
  );
}
