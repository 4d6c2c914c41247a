import { describe, expect, it } from 'vitest';
import { en } from './en';
import { t, textOf } from '.';

describe('texts', () => {
  it('have their parameters filled in, and numbers as people read them', () => {
    expect(t('shared.ago', { time: '3 min' })).toBe('3 min ago');
    expect(t('dags.count', { count: 1 })).toBe('1 DAG');
    expect(t('dags.count', { count: 12345 })).toBe('12,345 DAGs');
  });

  it('take a value as it is: it is no pattern', () => {
    expect(t('shared.ago', { time: '{time} $&' })).toBe('{time} $& ago');
  });

  it('are not there for an unknown key', () => {
    expect(textOf('state.unheard_of')).toBeNull();
  });

  it('have both numbers where they have one', () => {
    for (const [key, entry] of Object.entries(en)) {
      if (typeof entry !== 'string') expect(Object.keys(entry), key).toEqual(['one', 'other']);
    }
  });
});
