import { type ReactNode, useEffect } from 'react';
import { Link } from '@/routing/Link';
import { t } from '@/texts';
import classes from './PageHeader.module.css';

type Crumb = { label: string; to: string };
type Props = { title: string; crumbs?: readonly Crumb[]; after?: ReactNode; actions?: ReactNode; children?: ReactNode };

/** The head of a page: where it is, its title (of the document too), what can be done. children: a line below. */
export function PageHeader({ title, crumbs = [], after, actions, children }: Props) {
  useEffect(() => {
    document.title = t('app.titled', { page: [title, ...crumbs.map((crumb) => crumb.label).reverse()].join(' · ') });
  }, [title, crumbs]);
  return (
    <header className={classes.header}>
      {crumbs.length > 0 && (
        <nav className={classes.crumbs} aria-label={t('shell.crumbs')}>
          {crumbs.map((crumb, at) => (
            <span key={crumb.to}>
              {at > 0 && <span aria-hidden="true"> / </span>}
              <Link to={crumb.to}>{crumb.label}</Link>
            </span>
          ))}
        </nav>
      )}
      <div className={classes.row}>
        <h1 className={classes.title} tabIndex={-1} id="page-title">
          {title}
        </h1>
        {after}
        {actions && <div className={classes.actions}>{actions}</div>}
      </div>
      {children && <div className={classes.below}>{children}</div>}
    </header>
  );
}
