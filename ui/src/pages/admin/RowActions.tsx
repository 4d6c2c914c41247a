import { ActionIcon, Tooltip } from '@mantine/core';
import { IconPencil, IconTrash } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { t } from '@/texts';
import classes from './Admin.module.css';

type Props = { name: string; onEdit?: () => void; onDelete?: () => void; children?: ReactNode };

/** The buttons at the end of a row. */
export function RowActions({ name, onEdit, onDelete, children }: Props) {
  return (
    <div className={classes.rowActions}>
      {children}
      {onEdit && (
        <IconAction label={t('admin.editNamed', { name })} onClick={onEdit}>
          <IconPencil size={15} aria-hidden />
        </IconAction>
      )}
      {onDelete && (
        <IconAction label={t('admin.deleteNamed', { name })} onClick={onDelete}>
          <IconTrash size={15} aria-hidden />
        </IconAction>
      )}
    </div>
  );
}

export function IconAction({
  label,
  onClick,
  pressed,
  children,
}: {
  label: string;
  onClick: () => void;
  pressed?: boolean;
  children: ReactNode;
}) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" aria-label={label} aria-pressed={pressed} onClick={onClick}>
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
