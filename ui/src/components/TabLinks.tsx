import { useEffect, useRef } from 'react';
import { Link } from '@/routing/Link';
import { formatNumber } from '@/texts';
import classes from './TabLinks.module.css';
import { centre } from './centre';

type TabLink = { name: string; label: string; to: string; count?: number };

/** Tabs that are addresses: links, so that they open in new windows and Back works. Arrows move between them. */
export function TabLinks({ links, current, label }: { links: readonly TabLink[]; current: string; label: string }) {
  const list = useRef<HTMLElement>(null);
  // Where there is no room for all, the one that is open is to be seen.
  useEffect(() => centre(list.current, '[aria-current]'), [current]);
  const move = (from: number, step: number) => {
    const all = list.current?.querySelectorAll('a') ?? [];
    all[(from + step + all.length) % all.length]?.focus();
  };
  return (
    <nav className={classes.tabs} aria-label={label} ref={list}>
      {links.map((link, at) => (
        <Link
          key={link.name}
          to={link.to}
          aria-current={link.name === current ? 'page' : undefined}
          onKeyDown={(event) => {
            if (event.key === 'ArrowRight') move(at, 1);
            if (event.key === 'ArrowLeft') move(at, -1);
          }}
        >
          {link.label}
          {link.count !== undefined && <span className={classes.count}>{formatNumber(link.count)}</span>}
        </Link>
      ))}
    </nav>
  );
}
