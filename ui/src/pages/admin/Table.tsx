import type { ReactNode } from 'react';
import classes from './Admin.module.css';

/** A table on a panel, which scrolls sideways where there is no room for it. */
export function Table({ heads, children }: { heads: readonly ReactNode[]; children: ReactNode }) {
  return (
    <div className={`panel ${classes.wide}`}>
      <table className={classes.table}>
        <thead>
          <tr>
            {heads.map((head, at) => (
              <th key={at}>{head}</th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
