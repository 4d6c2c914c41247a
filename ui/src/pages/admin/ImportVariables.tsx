import { Button, FileButton, Textarea } from '@mantine/core';
import { useState } from 'react';
import { api } from '@/api/client';
import type { Variable } from '@/api/schema';
import { toastDone } from '@/components/toasts';
import { t } from '@/texts';
import classes from './Admin.module.css';
import { FormDialog } from './FormDialog';
import { readVariables } from './transfer';

type Props = { known: readonly Variable[]; onClose: () => void; onDone: () => void };

/** Variables from a JSON object; which are new and which are overwritten is shown before. */
export function ImportVariables({ known, onClose, onDone }: Props) {
  const [text, setText] = useState('');
  const read = text.trim() ? readVariables(text) : null;
  const keys = Object.keys(read?.values ?? {});
  const there = new Set(known.map((variable) => variable.key));
  const changed = keys.filter((key) => there.has(key)).length;
  const wrong =
    read?.error == null
      ? undefined
      : read.error
        ? t('admin.wrongJson', { text: read.error })
        : t('admin.wrongJson.object');
  const send = async () => {
    let count = 0;
    try {
      for (const [key, value] of Object.entries(read?.values ?? {})) {
        await api.put('/variables/{key}', { path: { key }, body: { value } });
        count += 1;
      }
    } finally {
      if (count) {
        toastDone(t('variables.imported', { count }));
        onDone();
      }
    }
  };
  return (
    <FormDialog
      onClose={onClose}
      title={t('variables.import.title')}
      action={t('variables.import.action', { count: keys.length })}
      submit={send}
      ready={keys.length > 0}
    >
      {() => (
        <>
          <p className="dim">{t('variables.import.text')}</p>
          <div>
            <FileButton accept="application/json,.json" onChange={(file) => void file?.text().then(setText)}>
              {(props) => (
                <Button variant="default" {...props}>
                  {t('variables.import.file')}
                </Button>
              )}
            </FileButton>
          </div>
          <Textarea
            className={classes.mono}
            label={t('variables.import.label')}
            placeholder={'{"region": "eu-west", "limits": {"rows": 1000}}'}
            autosize
            minRows={5}
            maxRows={14}
            value={text}
            error={wrong ?? (read && keys.length === 0 ? t('variables.import.nothing') : undefined)}
            onChange={(event) => setText(event.currentTarget.value)}
          />
          {keys.length > 0 && (
            <div>
              <p>{t('variables.import.touches', { made: keys.length - changed, changed })}</p>
              <ul className={classes.preview} tabIndex={0}>
                {keys.map((key) => (
                  <li key={key}>
                    <span>{key}</span>
                    <span className="dim">
                      {there.has(key) ? t('variables.import.old') : t('variables.import.new')}
                    </span>
                  </li>
                ))}
              </ul>
            </div>
          )}
        </>
      )}
    </FormDialog>
  );
}
