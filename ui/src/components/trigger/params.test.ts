import { describe, expect, it } from 'vitest';
import { confOf, fieldOf, fieldsOf, parse } from './params';

const problemOf = (parsed: ReturnType<typeof parse>) => ('problem' in parsed ? parsed.problem : null);

describe('the kind of a field', () => {
  it.each([
    [{ value: 'a', schema: { type: 'string' } }, 'text'],
    [{ value: 'a\nb', schema: { type: 'string' } }, 'lines'],
    [{ value: 3, schema: { type: 'integer' } }, 'number'],
    [{ value: true, schema: {} }, 'boolean'],
    [{ value: 'x', schema: { enum: ['x', 'y'] } }, 'choice'],
    [{ value: null, schema: { type: ['null', 'string'], format: 'date-time' } }, 'moment'],
    [{ value: '2026-01-01', schema: { type: 'string', format: 'date' } }, 'date'],
    [{ value: [1], schema: { type: 'array' } }, 'json'],
    [{ value: { a: 1 }, schema: {} }, 'json'],
    [{ value: 3, schema: {} }, 'json'],
    [{ value: 'plain', schema: {} }, 'text'],
  ])('of %j is %s', (param, kind) => {
    expect(fieldOf('p', param).kind).toBe(kind);
  });
});

describe('what a text means', () => {
  it('is a number within its limits', () => {
    const field = fieldOf('n', { value: 3, schema: { type: 'integer', minimum: 1, maximum: 10 } });
    expect(parse(field, '7')).toEqual({ value: 7 });
    expect(problemOf(parse(field, '0'))).toContain('1');
    expect(problemOf(parse(field, '11'))).toContain('10');
    expect(problemOf(parse(field, '2.5'))).toBeTruthy();
    expect(problemOf(parse(field, 'many'))).toBeTruthy();
  });

  it('is null for an empty text where null is allowed, and a problem where a value is needed', () => {
    expect(parse(fieldOf('d', { value: null, schema: { type: ['null', 'string'], format: 'date-time' } }), '')).toEqual(
      { value: null },
    );
    expect(problemOf(parse(fieldOf('must', { schema: { type: 'string' } }), ''))).toBeTruthy();
  });

  it('is the value of a choice, whatever its type', () => {
    const field = fieldOf('c', { value: 1, schema: { enum: [1, '1', null] } });
    expect(field.choices.map((choice) => choice.value)).toEqual(['1', '"1"']);
    expect(parse(field, '"1"')).toEqual({ value: '1' });
    expect(parse(field, '')).toEqual({ value: null });
  });

  it('is JSON of the kind that the schema names', () => {
    const list = fieldOf('l', { value: [], schema: { type: 'array', maxItems: 1 } });
    expect(parse(list, '["a"]')).toEqual({ value: ['a'] });
    expect(problemOf(parse(list, '{}'))).toBeTruthy();
    expect(problemOf(parse(list, '[1,2]'))).toBeTruthy();
    expect(problemOf(parse(list, '[1,'))).toBeTruthy();
  });

  it('follows length and pattern, and leaves a pattern of Python to the server', () => {
    const field = fieldOf('s', { value: 'ab', schema: { type: 'string', minLength: 2, pattern: '^[a-z]+$' } });
    expect(problemOf(parse(field, 'a'))).toBeTruthy();
    expect(problemOf(parse(field, 'A1'))).toBeTruthy();
    expect(parse(fieldOf('s', { value: '', schema: { type: 'string', pattern: '(?P<a>x)' } }), 'y')).toEqual({
      value: 'y',
    });
  });
});

describe('the conf', () => {
  const fields = fieldsOf({
    name: { value: 'world', schema: { type: 'string' } },
    times: { value: 2, schema: { type: 'integer' } },
    must: { schema: { type: 'string' } },
  });

  it('holds what differs from the defaults and what has none', () => {
    expect(confOf(fields, { name: 'world', times: '3', must: 'x' })).toEqual({
      conf: { times: 3, must: 'x' },
      problems: {},
    });
  });

  it('names the fields that are wrong', () => {
    expect(Object.keys(confOf(fields, { times: 'x' }).problems)).toEqual(['must', 'times']);
  });
});
