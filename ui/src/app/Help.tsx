import { Kbd } from '@mantine/core';
import { Dialog } from '@/components/Dialog';
import { type PlainKey, t } from '@/texts';
import classes from './Help.module.css';

const GROUPS: readonly { text: PlainKey; keys: readonly (readonly [readonly string[], PlainKey])[] }[] = [
  {
    text: 'help.everywhere',
    keys: [
      [['/'], 'help.search'],
      [['Ctrl', 'K'], 'help.palette'],
      [['?'], 'help.help'],
      [['g', 'h · d · r'], 'help.go'],
    ],
  },
  {
    text: 'help.inGrid',
    keys: [
      [['←', '↑', '→', '↓'], 'help.grid'],
      [['Enter'], 'help.open'],
    ],
  },
];

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog size="md" onClose={onClose} title={t('help.title')}>
      {GROUPS.map((group) => (
        <section key={group.text} className={classes.group}>
          <h2>{t(group.text)}</h2>
          <dl>
            {group.keys.map(([keys, text]) => (
              <div key={text}>
                <dt>{t(text)}</dt>
                <dd>
                  {keys.map((key) => (
                    <Kbd key={key}>{key}</Kbd>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  );
}
