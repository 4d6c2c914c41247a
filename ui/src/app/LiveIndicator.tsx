import { Tooltip } from '@mantine/core';
import { type LiveState, useLiveState } from '@/live/live';
import { type PlainKey, t } from '@/texts';
import classes from './LiveIndicator.module.css';

const WORDS: Record<LiveState, PlainKey> = {
  live: 'shell.live',
  connecting: 'shell.connecting',
  paused: 'shell.paused',
};
const MEANINGS: Record<LiveState, PlainKey> = {
  live: 'shell.live.live',
  connecting: 'shell.live.connecting',
  paused: 'shell.live.paused',
};

/** Whether what is shown is kept up to date as it happens. */
export function LiveIndicator() {
  const state = useLiveState();
  return (
    <Tooltip label={t(MEANINGS[state])}>
      <span className={classes.live} data-state={state} role="status" tabIndex={0}>
        <span className={classes.dot} aria-hidden="true" />
        {t(WORDS[state])}
      </span>
    </Tooltip>
  );
}
