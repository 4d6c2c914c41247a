import { ActionIcon, Button, NativeSelect, TextInput, Tooltip } from '@mantine/core';
import {
  IconArrowDown,
  IconArrowUp,
  IconClock,
  IconCopy,
  IconDownload,
  IconPlayerPause,
  IconPlayerTrackNext,
  IconSearch,
  IconTextWrap,
} from '@tabler/icons-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { type UrlValues, useUrlState } from '@/routing/router';
import { t } from '@/texts';
import classes from './Log.module.css';
import type { Hits } from './search';

type Props = {
  hits: Hits;
  /** Which of the hits one is at; -1: none. */
  at: number;
  onStep: (direction: 1 | -1) => void;
  follow: boolean;
  canFollow: boolean;
  onFollow: (follow: boolean) => void;
  onCopy: () => void;
  download: string;
  wrap: boolean;
  times: boolean;
  set: (values: UrlValues) => void;
};

export function LogBar({ hits, at, onStep, follow, canFollow, onFollow, onCopy, download, wrap, times, set }: Props) {
  const [url] = useUrlState();
  const needle = url.get('find') ?? '';
  return (
    <div className={classes.bar}>
      <div className={classes.search} role="search">
        <Needle kept={needle} onChange={(find) => set({ find })} onStep={onStep} />
        <Tool
          label={t('task.log.previous')}
          keys="Shift+N"
          onClick={() => onStep(-1)}
          disabled={hits.lines.length === 0}
        >
          <IconArrowUp size={15} aria-hidden />
        </Tool>
        <Tool label={t('task.log.next')} keys="N" onClick={() => onStep(1)} disabled={hits.lines.length === 0}>
          <IconArrowDown size={15} aria-hidden />
        </Tool>
        <span className={classes.hits} aria-live="polite">
          {needle &&
            (at >= 0
              ? t('task.log.hitOf', { at: at + 1, count: hits.lines.length })
              : t('task.log.hits', { count: hits.lines.length }))}
          {needle && hits.looking && ' …'}
        </span>
      </div>
      <div className={classes.right}>
        <NativeSelect
          aria-label={t('task.log.level')}
          value={url.get('level') ?? ''}
          onChange={(event) => set({ level: event.currentTarget.value })}
          data={[
            { value: '', label: t('task.log.level.all') },
            { value: 'info', label: t('task.log.level.info') },
            { value: 'warning', label: t('task.log.level.warning') },
            { value: 'error', label: t('task.log.level.error') },
          ]}
        />
        <Tool label={t('task.log.times')} pressed={times} onClick={() => set({ times: times ? 'off' : 'on' })}>
          <IconClock size={15} aria-hidden />
        </Tool>
        <Tool label={t('task.log.wrap')} pressed={wrap} onClick={() => set({ wrap: wrap ? 'off' : null })}>
          <IconTextWrap size={15} aria-hidden />
        </Tool>
        <Tool label={t('task.log.copy')} onClick={onCopy}>
          <IconCopy size={15} aria-hidden />
        </Tool>
        <Tooltip label={t('task.log.download')}>
          <ActionIcon
            component="a"
            href={download}
            download
            variant="default"
            size={30}
            aria-label={t('task.log.download')}
          >
            <IconDownload size={15} aria-hidden />
          </ActionIcon>
        </Tooltip>
        {canFollow && (
          <Button
            variant={follow ? 'light' : 'default'}
            aria-pressed={follow}
            onClick={() => onFollow(!follow)}
            leftSection={
              follow ? <IconPlayerPause size={14} aria-hidden /> : <IconPlayerTrackNext size={14} aria-hidden />
            }
          >
            {follow ? t('task.log.following') : t('task.log.follow')}
          </Button>
        )}
      </div>
    </div>
  );
}

/** What is looked for. Enter goes to the next, Shift+Enter to the one before. */
function Needle({
  kept,
  onChange,
  onStep,
}: {
  kept: string;
  onChange: (text: string) => void;
  onStep: (direction: 1 | -1) => void;
}) {
  const [text, setText] = useState(kept);
  const sent = useRef(kept);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    if (kept !== sent.current) setText(kept);
    sent.current = kept;
  }, [kept]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const change = (next: string, wait = 200) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      sent.current = next;
      onChange(next);
    }, wait);
  };
  return (
    <TextInput
      value={text}
      data-page-search
      onChange={(event) => change(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') {
          event.preventDefault();
          if (text === kept) onStep(event.shiftKey ? -1 : 1);
          else change(text, 0);
        } else if (event.key === 'Escape') {
          if (text) change('', 0);
          else event.currentTarget.blur();
        }
      }}
      placeholder={t('task.log.search')}
      aria-label={t('task.log.search')}
      leftSection={<IconSearch size={14} aria-hidden />}
    />
  );
}

type ToolProps = {
  label: string;
  keys?: string;
  pressed?: boolean;
  disabled?: boolean;
  onClick: () => void;
  children: ReactNode;
};

function Tool({ label, keys, pressed, disabled, onClick, children }: ToolProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant={pressed ? 'light' : 'default'}
        size={30}
        aria-label={label}
        aria-pressed={pressed}
        aria-keyshortcuts={keys}
        disabled={disabled}
        onClick={onClick}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
