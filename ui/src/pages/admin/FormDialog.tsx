/** A form in a dialog. What the API finds wrong is said at the field, or above the fields. */
import { Alert, Button, Group } from '@mantine/core';
import { Dialog } from '@/components/Dialog';
import { useMutation } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { ApiError } from '@/api/client';
import { messageOf } from '@/components/Pending';
import { t } from '@/texts';
import classes from './Admin.module.css';

type Errors = Record<string, string>;
type Props = {
  onClose: () => void;
  title: string;
  action: string;
  submit: () => Promise<unknown>;
  /** Whether it can be sent as it is. */
  ready?: boolean;
  children: (errors: Errors) => ReactNode;
};

/** What is wrong by field, as `port` or `grants.0.pattern`. */
export function fieldErrors(error: unknown): Errors {
  if (!(error instanceof ApiError)) return {};
  return Object.fromEntries((error.errors ?? []).map(({ where, text }) => [where.replace(/^body\./, ''), text]));
}

/** What is wrong with a name that cannot be in an address; undefined if nothing is. */
export const slash = (name: string): string | undefined => (name.includes('/') ? t('admin.noSlash') : undefined);

export function FormDialog({ onClose, title, action, submit, ready = true, children }: Props) {
  const sending = useMutation({ mutationFn: submit, onSuccess: onClose });
  const errors = fieldErrors(sending.error);
  return (
    <Dialog onClose={onClose} title={title}>
      <form
        className={classes.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (ready && !sending.isPending) sending.mutate();
        }}
      >
        {sending.error && Object.keys(errors).length === 0 && (
          <Alert color="red" role="alert" p="xs">
            {messageOf(sending.error)}
          </Alert>
        )}
        {children(errors)}
        <Group justify="flex-end" gap="xs" className="dialog-foot">
          <Button variant="default" onClick={onClose}>
            {t('shared.cancel')}
          </Button>
          <Button type="submit" loading={sending.isPending} disabled={!ready}>
            {action}
          </Button>
        </Group>
      </form>
    </Dialog>
  );
}
