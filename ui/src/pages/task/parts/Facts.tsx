import type { ReactNode } from 'react';
import classes from './parts.module.css';

export type Fact = { label: string; value: ReactNode } | null | false;

/** Short facts with their names. What is null or false is left out. */
export function Facts({ facts, stacked = false }: { facts: readonly Fact[]; stacked?: boolean }) {
  return (
    <dl className={stacked ? classes.stacked : classes.facts}>
      {facts.map(
        (fact) =>
          fact && (
            <div key={fact.label}>
              <dt>{fact.label}</dt>
              <dd>{fact.value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
