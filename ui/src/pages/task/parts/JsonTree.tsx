import { IconChevronRight } from '@tabler/icons-react';
import { useState } from 'react';
import { t } from '@/texts';
import classes from './parts.module.css';

const FIRST = 50;

/** A JSON value as a tree. All of it is text. */
export function JsonTree({ value }: { value: unknown }) {
  return (
    <div className={classes.json}>
      <ul>
        <Node name={null} value={value} depth={0} />
      </ul>
    </div>
  );
}

type NodeProps = { name: string | number | null; value: unknown; depth: number };

function Node({ name, value, depth }: NodeProps) {
  const entries = entriesOf(value);
  const [open, setOpen] = useState(depth === 0 || (depth < 3 && entries !== null && entries.length <= 20));
  const [shown, setShown] = useState(FIRST);
  const label = name !== null && (
    <span className={classes.jsonKey}>{typeof name === 'number' ? name : JSON.stringify(name)}:</span>
  );
  if (entries === null || entries.length === 0) {
    return (
      <li className={classes.jsonRow}>
        <span className={classes.jsonToggle} />
        {label}
        <span className={classes.jsonValue} data-kind={kindOf(value)}>
          {entries ? (Array.isArray(value) ? '[]' : '{}') : JSON.stringify(value)}
        </span>
      </li>
    );
  }
  return (
    <li>
      <div className={classes.jsonRow}>
        <button
          type="button"
          className={classes.jsonToggle}
          aria-expanded={open}
          aria-label={t('task.json.open', { name: name === null ? 'JSON' : String(name) })}
          onClick={() => setOpen(!open)}
        >
          <IconChevronRight size={14} stroke={2.2} aria-hidden />
        </button>
        {label}
        <span className="dim">
          {Array.isArray(value) ? '[ ]' : '{ }'} {t('task.json.items', { count: entries.length })}
        </span>
      </div>
      {open && (
        <ul>
          {entries.slice(0, shown).map(([key, each]) => (
            <Node key={key} name={key} value={each} depth={depth + 1} />
          ))}
          {entries.length > shown && (
            <li className={classes.jsonRow}>
              <span className={classes.jsonToggle} />
              <button type="button" className={classes.jsonMore} onClick={() => setShown(shown + 500)}>
                {t('task.json.more', { count: Math.min(500, entries.length - shown) })}
              </button>
            </li>
          )}
        </ul>
      )}
    </li>
  );
}

function entriesOf(value: unknown): [string | number, unknown][] | null {
  if (Array.isArray(value)) return value.map((each, at) => [at, each]);
  if (typeof value === 'object' && value !== null) return Object.entries(value);
  return null;
}

const kindOf = (value: unknown): string => (value === null ? 'null' : typeof value);
