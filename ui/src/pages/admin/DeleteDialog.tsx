import type { ReactNode } from 'react';
import { ConfirmTouch } from '@/components/ConfirmTouch';
import { toastDone } from '@/components/toasts';
import { t } from '@/texts';

type Props = {
  onClose: () => void;
  title: string;
  send: () => Promise<unknown>;
  /** What is said when it is done. */
  said: string;
  onDone: () => void;
  children: ReactNode;
};

/** Asks whether something is to be deleted, and deletes it. */
export function DeleteDialog({ send, said, ...rest }: Props) {
  const act = async () => {
    await send();
    toastDone(said);
  };
  return <ConfirmTouch opened action={t('shared.delete')} act={act} {...rest} />;
}
