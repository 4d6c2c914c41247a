import { IconCheck, IconCopy } from '@tabler/icons-react';
import { ActionIcon } from '@mantine/core';
import { useState } from 'react';
import { t } from '@/texts';
import classes from './Command.module.css';

/** A command or a piece of code that can be copied. */
export function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <div className={classes.command}>
      <pre tabIndex={0}>{text}</pre>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="sm"
        onClick={() => void copy()}
        aria-label={copied ? t('shared.copied') : t('shared.copy')}
      >
        {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
      </ActionIcon>
    </div>
  );
}
