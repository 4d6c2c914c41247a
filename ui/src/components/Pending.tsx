import { Button, Loader } from '@mantine/core';
import { ApiError } from '@/api/client';
import { t } from '@/texts';
import classes from './Pending.module.css';

/** What an error says to people. */
export function messageOf(error: unknown): string {
  if (error instanceof ApiError) {
    return error.status === 0
      ? t('shared.unreachable')
      : error.message.replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase());
  }
  return error instanceof Error ? error.message : String(error);
}

/** Whether asking again gives the same answer: it is not there, or not for who asks. */
const isFinal = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 403 || error.status === 404);

/** In place of what is not there yet: that it loads, or why it cannot. */
export function Pending({ error, retry }: { error?: unknown; retry?: () => void }) {
  if (!error) {
    return (
      <div className={classes.pending} role="status">
        <Loader size="sm" role="img" aria-busy="true" aria-label={t('shared.loading')} />
      </div>
    );
  }
  return (
    <div className={classes.pending} role="alert">
      <strong>{t('shared.failedToLoad')}</strong>
      <span className="dim">{messageOf(error)}</span>
      {retry && !isFinal(error) && (
        <Button size="xs" variant="default" onClick={retry}>
          {t('shared.retry')}
        </Button>
      )}
    </div>
  );
}
