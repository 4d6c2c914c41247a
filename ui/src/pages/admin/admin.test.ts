import { describe, expect, it } from 'vitest';
import { ApiError } from '@/api/client';
import { fieldErrors } from './FormDialog';
import { whereIs } from './ConnectionsPage';
import { ordersFor } from './Workers';
import { fieldName } from './connectionTypes';
import { readObject, readVariables } from './transfer';

describe('readVariables', () => {
  it('keeps texts as they are and all else as JSON', () => {
    expect(readVariables('{"a": "x", "b": {"c": 1}, "d": 2}')).toEqual({
      values: { a: 'x', b: '{"c":1}', d: '2' },
      error: null,
    });
  });

  it('says what is wrong', () => {
    expect(readVariables('{"a": ').error).toBeTruthy();
    expect(readVariables('[1]').error).toBe('');
  });
});

describe('readObject', () => {
  it('takes nothing for an empty object, and refuses what is none', () => {
    expect(readObject(' ')).toEqual({ value: {} });
    expect(readObject('{"a": 1}')).toEqual({ value: { a: 1 } });
    expect('wrong' in readObject('"text"')).toBe(true);
  });
});

describe('fieldErrors', () => {
  it('are by field, as the API names them', () => {
    const error = new ApiError(422, 'Invalid request', 'x', [{ where: 'body.grants.0.pattern', text: 'too short' }]);
    expect(fieldErrors(error)).toEqual({ 'grants.0.pattern': 'too short' });
    expect(fieldErrors(new Error('x'))).toEqual({});
  });
});

describe('connections', () => {
  it('name their fields by their type', () => {
    expect(fieldName('postgres', 'schema')).toBe('connections.field.database');
    expect(fieldName('sqlite', 'password')).toBeNull();
    expect(fieldName('of_our_own', 'host')).toBe('connections.host');
  });

  it('are told in one line', () => {
    expect(whereIs({ login: 'reader', host: 'db', port: 5432, schema: 'sales' })).toBe('reader@db:5432/sales');
    expect(whereIs({ host: 'db' })).toBe('db');
  });
});

describe('ordersFor', () => {
  const worker = (status: 'running' | 'cut_off' | 'drained' | 'stopping' | 'silent', ordered_by?: string) =>
    ordersFor({ status, ordered_by, remote: true });

  it('offers what changes something', () => {
    expect(worker('running')).toEqual(['drain', 'stop']);
    expect(worker('cut_off')).toEqual(['drain', 'stop']);
    expect(worker('drained', 'ada')).toEqual(['resume', 'stop']);
    expect(worker('stopping', 'ada')).toEqual([]);
  });

  it('one that is away can be told what it is to do when it is back', () => {
    expect(worker('silent')).toEqual(['drain']);
    expect(worker('silent', 'ada')).toEqual(['resume']);
  });

  it('offers nothing for the runner of a local executor', () => {
    expect(ordersFor({ status: 'running', remote: false })).toEqual([]);
  });
});
