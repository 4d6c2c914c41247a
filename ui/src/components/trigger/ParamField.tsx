import { Anchor, Checkbox, NativeSelect, TextInput, Textarea } from '@mantine/core';
import { t } from '@/texts';
import classes from './TriggerDialog.module.css';
import type { Field } from './params';

type Props = { field: Field; text: string; problem?: string; onChange: (text: string) => void; first: boolean };

const INPUT_TYPES: Partial<Record<Field['kind'], string>> = { date: 'date', time: 'time', moment: 'datetime-local' };

/** One param as a field. What an author wrote about it (title, description) is shown as text. */
export function ParamField({ field, text, problem, onChange, first }: Props) {
  const changed = field.hasDefault && text !== field.initial;
  const shared = {
    label: (
      <>
        {field.label}
        {field.label !== field.name && <span className={classes.name}>{field.name}</span>}
        {changed && (
          <Anchor
            component="button"
            type="button"
            size="xs"
            className={classes.reset}
            onClick={() => onChange(field.initial)}
          >
            {t('trigger.reset')}
          </Anchor>
        )}
      </>
    ),
    description: field.description,
    error: problem,
    'data-param': field.name,
    'data-autofocus': first || undefined,
  };
  const asText = {
    ...shared,
    withAsterisk: field.required,
    value: text,
    onChange: (event: { currentTarget: { value: string } }) => onChange(event.currentTarget.value),
  };
  switch (field.kind) {
    case 'boolean':
      if (!field.nullable && field.hasDefault) {
        return (
          <Checkbox
            {...shared}
            checked={text === 'true'}
            onChange={(event) => onChange(String(event.currentTarget.checked))}
          />
        );
      }
      return (
        <NativeSelect
          {...asText}
          data={[
            { value: '', label: field.nullable ? t('trigger.null') : '' },
            { value: 'true', label: t('trigger.yes') },
            { value: 'false', label: t('trigger.no') },
          ]}
        />
      );
    case 'choice': {
      const empty =
        field.nullable || field.initial === '' ? [{ value: '', label: field.nullable ? t('trigger.null') : '' }] : [];
      return <NativeSelect {...asText} data={[...empty, ...field.choices]} />;
    }
    case 'lines':
      return <Textarea {...asText} autosize minRows={2} maxRows={10} />;
    case 'json':
      return (
        <Textarea
          {...asText}
          autosize
          minRows={1}
          maxRows={12}
          spellCheck={false}
          classNames={{ input: classes.mono }}
        />
      );
    case 'number':
      return <TextInput {...asText} inputMode="decimal" />;
    default:
      return <TextInput {...asText} type={INPUT_TYPES[field.kind] ?? 'text'} />;
  }
}
