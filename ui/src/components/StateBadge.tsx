import { colourOf, wordOf } from '@/states/states';
import { formatNumber } from '@/texts';
import { StateIcon } from './StateIcon';
import classes from './State.module.css';

/** A state as shape and word. count: how many are in it, said before the word. */
export function StateBadge({ state, count, bare = false }: { state: string; count?: number; bare?: boolean }) {
  const style = bare
    ? { color: colourOf(state, 'text') }
    : { color: colourOf(state, 'text'), background: colourOf(state, 'soft') };
  return (
    <span className={bare ? classes.bare : classes.badge} style={style}>
      <StateIcon state={state} size={13} title="" />
      {count !== undefined && <span className={classes.count}>{formatNumber(count)}</span>}
      {wordOf(state)}
    </span>
  );
}
