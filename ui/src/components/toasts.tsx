/** Short messages in the corner: what was done, or why it was not. Read out by screen readers. */
import { IconAlertTriangle, IconCheck, IconX } from '@tabler/icons-react';
import { useSyncExternalStore } from 'react';
import { Link } from '@/routing/Link';
import { t } from '@/texts';
import { messageOf } from './Pending';
import classes from './toasts.module.css';

type Toast = { id: number; kind: 'done' | 'wrong'; text: string; link?: { to: string; label: string } };

const SHOWN_FOR = { done: 5_000, wrong: 12_000 };
let toasts: readonly Toast[] = [];
let counter = 0;
const watchers = new Set<() => void>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const watcher of [...watchers]) watcher();
}

function show(toast: Omit<Toast, 'id'>): void {
  counter += 1;
  const id = counter;
  set([...toasts.slice(-3), { ...toast, id }]);
  setTimeout(() => dismiss(id), SHOWN_FOR[toast.kind]);
}

function dismiss(id: number): void {
  set(toasts.filter((toast) => toast.id !== id));
}

/** Says that something was done. */
export const toastDone = (text: string, link?: Toast['link']): void => show({ kind: 'done', text, link });
/** Says why something was not done: for `onError` of mutations. */
export const toastError = (error: unknown): void => show({ kind: 'wrong', text: messageOf(error) });

/** Where the messages are shown; once, in the shell. */
export function Toasts() {
  const current = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => toasts,
  );
  return (
    <div className={classes.toasts} aria-live="polite" role="status">
      {current.map((toast) => (
        <div key={toast.id} className={classes.toast} data-kind={toast.kind}>
          {toast.kind === 'done' ? <IconCheck size={16} aria-hidden /> : <IconAlertTriangle size={16} aria-hidden />}
          <span className={classes.text}>
            {toast.text} {toast.link && <Link to={toast.link.to}>{toast.link.label}</Link>}
          </span>
          <button type="button" onClick={() => dismiss(toast.id)} aria-label={t('shared.close')}>
            <IconX size={14} aria-hidden />
          </button>
        </div>
      ))}
    </div>
  );
}
