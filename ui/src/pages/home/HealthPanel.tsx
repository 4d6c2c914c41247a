import type { Health } from '@/api/schema';
import { StateIcon } from '@/components/StateIcon';
import { t } from '@/texts';
import classes from './HomePage.module.css';
import { Panel } from './Panel';

const LOOK = { ok: 'success', degraded: 'upstream_failed', down: 'failed' } as const;

export function HealthPanel({ health }: { health: Health }) {
  return (
    <Panel
      title={t('home.health')}
      after={
        <span className={classes.verdict}>
          <StateIcon state={LOOK[health.status]} title="" />
          {t(`home.health.${health.status}`)}
        </span>
      }
    >
      <ul className={classes.list}>
        {health.parts.map((part) => (
          <li key={`${part.kind} ${part.name}`}>
            <StateIcon state={LOOK[part.status]} title={t(`home.part.${part.status}`)} />
            <span className={classes.partKind}>{t(`home.part.${part.kind}`)}</span>
            <span className={classes.grow} title={part.name}>
              {part.text}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
