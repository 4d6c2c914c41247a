/** A dialog. When it closes, the focus goes back to what it was opened from. */
import { Modal, type ModalProps } from '@mantine/core';
import { useLayoutEffect } from 'react';
import { t } from '@/texts';

export function Dialog({ opened = true, ...props }: Partial<ModalProps> & Pick<ModalProps, 'onClose' | 'title'>) {
  useReturnFocus(opened);
  return (
    <Modal
      opened={opened}
      returnFocus={false}
      size="lg"
      closeButtonProps={{ 'aria-label': t('shared.close') }}
      {...props}
    />
  );
}

/**
 * Gives the focus back when a dialog closes, or is taken away: to what had it when the dialog opened; to the button of
 * the menu that this was in; to the heading of the page, if that is gone too (its row was deleted).
 */
export function useReturnFocus(opened: boolean): void {
  useLayoutEffect(() => {
    if (!opened) return;
    const opener = document.activeElement;
    const menu = opener?.closest('[role="menu"]')?.getAttribute('aria-labelledby');
    return () => {
      setTimeout(() => {
        const now = document.activeElement;
        // Whoever has gone on, by a link or to the next dialog, is left where they are.
        if (now && now !== document.body && now !== opener && !leaving(now)) return;
        const home = [menu && document.getElementById(menu), opener, document.querySelector('main h1')].find(
          (one): one is HTMLElement => one instanceof HTMLElement && one.isConnected && one !== document.body,
        );
        home?.focus({ preventScroll: true });
      });
    };
  }, [opened]);
}

const leaving = (element: Element): boolean => element.closest('[role="dialog"], [role="menu"]') !== null;
