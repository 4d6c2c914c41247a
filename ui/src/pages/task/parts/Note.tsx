import { ActionIcon, Button, Group, Textarea } from '@mantine/core';
import { IconNote, IconPencil } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import type { Note as NoteData } from '@/api/schema';
import { useReturnFocus } from '@/components/Dialog';
import { Time } from '@/components/Time';
import { toastDone, toastError } from '@/components/toasts';
import { t } from '@/texts';
import classes from './parts.module.css';

type Props = {
  note: NoteData | null | undefined;
  mayEdit: boolean;
  writing: boolean;
  onWriting: (writing: boolean) => void;
  save: (text: string) => Promise<unknown>;
  onSaved: () => void;
};

/** A note, and how it is written. Nothing where there is none and none is being written. */
export function Note({ note, mayEdit, writing, onWriting, save, onSaved }: Props) {
  const [typed, setText] = useState<string | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  useReturnFocus(writing);
  useEffect(() => field.current?.focus(), [writing]);
  const text = typed ?? note?.text ?? '';
  const leave = () => {
    setText(null);
    onWriting(false);
  };
  const saving = useMutation({
    mutationFn: save,
    onError: toastError,
    onSuccess: (_, saved) => {
      leave();
      toastDone(saved.trim() ? t('task.note.saved') : t('task.note.removed'));
      onSaved();
    },
  });
  if (writing) {
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
            if (event.key === 'Escape') leave();
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) saving.mutate(text);
          }}
          ref={field}
        />
        <Group justify="flex-end" gap="xs" mt="xs">
          <Button variant="default" onClick={leave}>
            {t('shared.cancel')}
          </Button>
          <Button type="submit" loading={saving.isPending}>
            {t('shared.save')}
          </Button>
        </Group>
      </form>
    );
  }
  if (!note) return null;
  return (
    <section className={`panel ${classes.note}`} aria-label={t('task.note')}>
      <div className={classes.noteHead}>
        <IconNote size={14} aria-hidden />
        <span>
          {t('task.note')} {t('shared.by', { name: note.by })}, <Time at={note.at} relative />
        </span>
        {mayEdit && (
          <ActionIcon
            variant="subtle"
            color="gray"
            size="sm"
            aria-label={t('task.note.edit')}
            onClick={() => onWriting(true)}
          >
            <IconPencil size={14} aria-hidden />
          </ActionIcon>
        )}
      </div>
      <p className={classes.noteText}>{note.text}</p>
    </section>
  );
}
