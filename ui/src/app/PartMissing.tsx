import { Button } from '@mantine/core';
import { useEffect, useState } from 'react';
import { address } from '@/api/client';
import { EmptyState } from '@/components/EmptyState';
import { t } from '@/texts';

const EVERY = 2_000;

/** Any answer will do. */
const isThere = (): Promise<boolean> =>
  fetch(address('/session'), { cache: 'no-store' }).then(
    () => true,
    () => false,
  );

/** Whether an error says that a part of the app could not be loaded. */
export const isPartMissing = (error: Error): boolean =>
  /dynamically imported module|Importing a module script failed|Unable to preload CSS/i.test(error.message);

/**
 * In place of a page whose code could not be loaded: the server is gone, and the page is loaded when it is there again;
 * or it has another version by now, which does not have this part any more.
 */
export function PartMissing() {
  const [gone, setGone] = useState<boolean | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let left = false;
    const look = async (wasGone: boolean) => {
      const there = await isThere();
      if (left) return;
      if (there && wasGone) location.reload();
      else setGone(!there);
      if (!there) timer = setTimeout(() => void look(true), EVERY);
    };
    void look(false);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, []);
  if (gone === null) return null;
  return (
    <div role="alert">
      <EmptyState
        title={gone ? t('shared.failedToLoad') : t('shell.updated.title')}
        action={<Button onClick={() => location.reload()}>{t('shell.crashed.reload')}</Button>}
      >
        {gone ? t('shared.unreachable') : t('shell.updated')}
      </EmptyState>
    </div>
  );
}
