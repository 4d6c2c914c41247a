import type { ReactNode } from 'react';
import classes from './HomePage.module.css';

/** A part of the page with its heading. */
export function Panel({ title, after, children }: { title: string; after?: ReactNode; children: ReactNode }) {
  return (
    <section className={classes.panel}>
      <div className={classes.panelHead}>
        <h2>{title}</h2>
        {after}
      </div>
      {children}
    </section>
  );
}

/** In place of an empty list in a panel. */
export const Quiet = ({ children }: { children: ReactNode }) => <p className={classes.quiet}>{children}</p>;
