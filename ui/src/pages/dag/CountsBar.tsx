import { STATE_ORDER, colourOf, wordOf } from '@/states/states';
import { StateIcon } from '@/components/StateIcon';
import { formatNumber } from '@/texts';
import classes from './CountsBar.module.css';

/** How many are in each state, as a bar and as numbers with the state's shape. */
export function CountsBar({ counts }: { counts: Readonly<Record<string, number | undefined>> }) {
  const states = STATE_ORDER.filter((state) => (counts[state] ?? 0) > 0);
  const words = states.map((state) => `${counts[state]} ${wordOf(state)}`).join(', ');
  return (
    <div className={classes.counts} title={words} role="img" aria-label={words}>
      <div className={classes.bar}>
        {states.map((state) => (
          <span key={state} style={{ flexGrow: counts[state] ?? 0, background: colourOf(state) }} />
        ))}
      </div>
      <div className={classes.numbers}>
        {states.slice(0, 4).map((state) => (
          <span key={state}>
            <StateIcon state={state} size={11} title="" />
            {formatNumber(counts[state] ?? 0)}
          </span>
        ))}
      </div>
    </div>
  );
}
