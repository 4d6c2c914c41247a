import { ActionIcon, Button, Group, Textarea } from '@mantine/core';
import { IconNote, IconPencil } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { Note as NoteData } from '@/api/schema';
import { Time } from '@/components/Time';
import { toastDone, toastError } from '@/components/toasts';
import { t } from '@/texts';
import classes from './parts.module.css';

type Props = { note: NoteData | null | undefined; mayEdit: boolean; save: (text: string) => Promise<unknown>; onSaved: () => void };

/** A note, and how it is written. Where there is none, only the button that adds one. */
export function Note({ note, mayEdit, save, onSaved }: Props) {
  const [text, setText] = useState<string | null>(null);
  const saving = useMutation({
    mutationFn: save,
    onError: toastError,
    onSuccess: (_, saved) => {
      setText(null);
      toastDone(saved.trim() ? t('task.note.saved') : t('task.note.removed'));
      onSaved();
    },
  });
  if (text !== null) {
    return (
      <form
        className={`panel ${classes.note}`}
        onSubmit={(event) => {
          event.preventDefault();
          saving.mutate(text);
        }}
      >
        <Textarea
          label={t('task.note')}
          placeholder={t('task.note.placeholder')}
          description={note ? t('task.note.empty') : undefined}
          autosize
          minRows={2}
          maxRows={12}
          maxLength={10_000}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Escape') setText(null);
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) saving.mutate(text);
          }}
          data-autofocus
          autoFocus
        />
        <Group justify="flex-end" gap="xs" mt="xs">
          <Button variant="default" onClick={() => setText(null)}>
            {t('shared.cancel')}
          </Button>
          <Button type="submit" loading={saving.isPending}>
            {t('shared.save')}
          </Button>
        </Group>
      </form>
    );
  }
  if (!note) {
    if (!mayEdit) return null;
    return (
      <div>
        <Button variant="subtle" color="gray" leftSection={<IconNote size={14} aria-hidden />} onClick={() => setText('')}>
          {t('task.note.add')}
        </Button>
      </div>
    );
  }
  return (
    <section className={`panel ${classes.note}`} aria-label={t('task.note')}>
      <div className={classes.noteHead}>
        <IconNote size={14} aria-hidden />
        <span>
          {t('task.note')} {t('shared.by', { name: note.by })}, <Time at={note.at} relative />
        </span>
        {mayEdit && (
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label={t('task.note.edit')} onClick={() => setText(note.text)}>
            <IconPencil size={14} aria-hidden />
          </ActionIcon>
        )}
      </div>
      <p className={classes.noteText}>{note.text}</p>
    </section>
  );
}
