import type { ReactNode } from 'react';
import { t } from '@/texts';
import classes from './Admin.module.css';

type Props = {
  heads: readonly string[];
  /** Whether the last column is for what can be done to a row. */
  actions?: boolean;
  /** On a phone each row is a block: its cells carry their heads as data-label. */
  stacks?: boolean;
  children: ReactNode;
};

/** A table on a panel, which scrolls sideways where there is no room for it; what can be done stays in sight. */
export function Table({ heads, actions, stacks, children }: Props) {
  return (
    <div className={`panel ${classes.wide}`}>
      <table
        className={stacks ? `${classes.table} ${classes.stacks}` : classes.table}
        data-actions={actions || undefined}
      >
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head}>{head}</th>
            ))}
            {actions && <th className={classes.right}>{t('admin.actions')}</th>}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
