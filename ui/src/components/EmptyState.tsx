import type { ReactNode } from 'react';
import { Command } from './Command';
import classes from './EmptyState.module.css';

type Props = { title: string; children?: ReactNode; command?: string; action?: ReactNode };

/** In place of an empty list: why it is empty and what to do next, with the exact command. */
export function EmptyState({ title, children, command, action }: Props) {
  return (
    <div className={classes.empty}>
      <h2 className={classes.title}>{title}</h2>
      {children && <div className={classes.text}>{children}</div>}
      {command && <Command text={command} />}
      {action}
    </div>
  );
}
