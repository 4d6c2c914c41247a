import { Popover, UnstyledButton } from '@mantine/core';
import { IconHelpSquareRounded } from '@tabler/icons-react';
import { StateBadge } from '@/components/StateBadge';
import { STATE_ORDER } from '@/states/states';
import { t } from '@/texts';
import classes from './Legend.module.css';

/** What the shapes and colours mean, and the keys of the grid. */
export function Legend() {
  return (
    <Popover position="bottom-end" shadow="md" withinPortal>
      <Popover.Target>
        <UnstyledButton className={classes.button}>
          <IconHelpSquareRounded size={15} aria-hidden />
          {t('dag.legend')}
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown>
        <ul className={classes.states}>
          {STATE_ORDER.map((state) => (
            <li key={state}>
              <StateBadge state={state} bare />
            </li>
          ))}
        </ul>
        <p className={classes.text}>{t('dag.legend.several')}</p>
        <p className={classes.text}>{t('dag.legend.keys')}</p>
      </Popover.Dropdown>
    </Popover>
  );
}
