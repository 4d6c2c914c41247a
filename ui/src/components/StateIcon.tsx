import { colourOf, lookOf, wordOf } from '@/states/states';
import classes from './State.module.css';

/** A state's shape in its colour. title: what it says when pointed at and to screen readers; '' where a word is beside it. */
export function StateIcon({ state, size = 14, title }: { state: string; size?: number; title?: string }) {
  const look = lookOf(state);
  const label = title ?? wordOf(state);
  return (
    <svg
      className={classes.icon}
      data-spins={look.spins || undefined}
      viewBox="0 0 16 16"
      width={size}
      height={size}
      color={colourOf(state, 'fill')}
      role={label ? 'img' : undefined}
      aria-label={label || undefined}
      aria-hidden={label ? undefined : true}
      focusable="false"
    >
      {label && <title>{label}</title>}
      {look.line && (
        <path
          d={look.line}
          fill="none"
          stroke="currentColor"
          strokeWidth="1.9"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      )}
      {look.fill && <path d={look.fill} fill="currentColor" fillRule="evenodd" />}
    </svg>
  );
}
