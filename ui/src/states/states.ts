/** The look of every state: a colour, a shape and a word each, so that none is told by colour alone. */
import { textOf } from '@/texts';

export type TIState =
  | 'none'
  | 'scheduled'
  | 'queued'
  | 'running'
  | 'success'
  | 'failed'
  | 'skipped'
  | 'upstream_failed'
  | 'removed'
  | 'restarting'
  | 'up_for_retry'
  | 'up_for_reschedule'
  | 'deferred';
export type RunState = 'queued' | 'running' | 'success' | 'failed';
export type AnyState = TIState | RunState;

/**
 * shape: SVG paths on a 16 x 16 grid, drawn in the state's colour by StateIcon. `fill` shapes are filled, `line` shapes
 * are strokes. The colours are the CSS variables --state-NAME (fill), --state-NAME-text, --state-NAME-soft of states.css.
 */
export type Look = { fill?: string; line?: string; spins?: boolean };

const CIRCLE = 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z';

export const LOOKS: Record<AnyState, Look> = {
  none: { line: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Z' },
  scheduled: { line: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm0 2.8V8l2.2 1.6' },
  queued: { line: 'M3 4h10M3 8h10M3 12h6' },
  running: { line: 'M8 2a6 6 0 1 1-6 6', fill: 'M8 5.6a2.4 2.4 0 1 0 0 4.8 2.4 2.4 0 0 0 0-4.8Z', spins: true },
  success: { fill: `${CIRCLE}M7 11.4 3.9 8.3 5 7.2l2 2 4-4.2 1.1 1.1Z` },
  failed: {
    fill: 'M4.9 1h6.2L15 4.9v6.2L11.1 15H4.9L1 11.1V4.9Zm.5 3.3L4.3 5.4 6.9 8l-2.6 2.6 1.1 1.1L8 9.1l2.6 2.6 1.1-1.1L9.1 8l2.6-2.6-1.1-1.1L8 6.9Z',
  },
  skipped: { line: 'M3 4l4 4-4 4M8.5 4l4 4-4 4' },
  upstream_failed: { fill: 'M8 1.2 15.4 14.6H.6ZM7.2 6v4.4h1.6V6Zm0 5.4V13h1.6v-1.6Z' },
  removed: { line: 'M3 8h10' },
  restarting: { line: 'M13.5 8A5.5 5.5 0 1 1 11.6 3.8M11.8 1.2v2.9H8.9', spins: true },
  up_for_retry: { line: 'M13.5 8A5.5 5.5 0 1 1 11.6 3.8M11.8 1.2v2.9H8.9' },
  up_for_reschedule: { line: 'M4 2h8M4 14h8M5 2c0 4 6 4 6 12M11 2c0 4-6 4-6 12' },
  deferred: { fill: 'M3.5 2.5h3v11h-3Zm6 0h3v11h-3Z' },
};

/** In which order states are told: what needs somebody first. */
export const STATE_ORDER: readonly AnyState[] = [
  'failed',
  'upstream_failed',
  'running',
  'restarting',
  'up_for_retry',
  'up_for_reschedule',
  'deferred',
  'queued',
  'scheduled',
  'none',
  'success',
  'skipped',
  'removed',
];

const known = (state: string): state is AnyState => Object.hasOwn(LOOKS, state);
export const lookOf = (state: string): Look => (known(state) ? LOOKS[state] : LOOKS.none);
export const wordOf = (state: string): string => textOf(`state.${state}`) ?? state;
/** The CSS value of a state's colour: for fills, for text and thin lines on the page, for soft backgrounds. */
export const colourOf = (state: string, kind: 'fill' | 'text' | 'soft' = 'fill'): string =>
  `var(--state-${known(state) ? state : 'none'}${kind === 'fill' ? '' : `-${kind}`})`;
export const isFinished = (state: string): boolean =>
  ['success', 'failed', 'skipped', 'upstream_failed', 'removed'].includes(state);

/** What a run can be, in the order of what needs attention. */
export const RUN_STATES = ['failed', 'running', 'queued', 'success'] as const;
