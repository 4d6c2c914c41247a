import { Select } from '@mantine/core';
import { StateBadge } from '@/components/StateBadge';
import { StateIcon } from '@/components/StateIcon';
import { formatMoment, millis } from '@/components/time';
import { t } from '@/texts';
import classes from './RunSelect.module.css';
import { typeWord } from './grid/labels';

type RunLike = { run_id: string; state: string; run_type: string; run_after: string; logical_date?: string | null };
const LATEST = '';

const labelOf = (run: RunLike): string =>
  `${formatMoment(millis(run.logical_date ?? run.run_after) ?? 0, Date.now())} · ${typeWord(run.run_type)}`;

/** Which run is shown; the newest where none is chosen, and then the newest stays shown as new ones come. */
export function RunSelect({
  runs,
  run,
  chosen,
  onChoose,
}: {
  runs: readonly RunLike[];
  run: RunLike | null;
  chosen: string | null;
  onChoose: (runId: string | null) => void;
}) {
  const all = run && !runs.some((each) => each.run_id === run.run_id) ? [run, ...runs] : runs;
  const states = new Map(all.map((each) => [each.run_id, each.state]));
  return (
    <div className={classes.select}>
      <Select
        aria-label={t('dag.run')}
        w={300}
        miw={0}
        searchable
        allowDeselect={false}
        value={chosen ?? LATEST}
        onChange={(value) => onChoose(value || null)}
        data={[
          { value: LATEST, label: t('dag.run.latest') },
          ...all.map((each) => ({ value: each.run_id, label: labelOf(each) })),
        ]}
        renderOption={({ option }) => (
          <span className={classes.option} title={option.value}>
            {states.has(option.value) && <StateIcon state={states.get(option.value)!} size={13} />}
            {option.label}
          </span>
        )}
        nothingFoundMessage={t('dag.run.none')}
        maxDropdownHeight={360}
      />
      {run && <StateBadge state={run.state} />}
    </div>
  );
}
