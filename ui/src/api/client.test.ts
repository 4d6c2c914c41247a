import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError, address, api, setCsrfToken, whenUnauthorised } from './client';

type Sent = { url: string; init: RequestInit & { headers: Record<string, string> } };

function answering(status: number, body: unknown): Sent[] {
  const sent: Sent[] = [];
  vi.stubGlobal('fetch', async (url: string, init: Sent['init']) => {
    sent.push({ url, init });
    return new Response(body === undefined ? null : JSON.stringify(body), { status });
  });
  return sent;
}

afterEach(() => {
  vi.unstubAllGlobals();
  setCsrfToken(null);
});

describe('an address', () => {
  it('has every id and value encoded, lists repeated, and nothing that is empty', () => {
    expect(
      address('/dags/{dag_id}/runs/{run_id}', {
        path: { dag_id: 'a/b', run_id: 'r+1' },
        query: { state: ['failed', 'queued'], cursor: null, search: '', limit: 5 },
      }),
    ).toBe('/api/v1/dags/a%2Fb/runs/r%2B1?state=failed&state=queued&limit=5');
  });
});

describe('a request', () => {
  it('that changes something carries the token of the session; one that makes something a key of its own', async () => {
    setCsrfToken('secret');
    const sent = answering(201, {});
    await api.post('/dags/{dag_id}/runs', { path: { dag_id: 'd' }, body: { conf: {} } });
    await api.post('/dags/{dag_id}/runs', { path: { dag_id: 'd' }, body: { conf: {} } });
    const [first, second] = sent.map((each) => each.init.headers);
    expect(first).toMatchObject({ 'X-CSRF-Token': 'secret', 'Content-Type': 'application/json' });
    expect(first!['Idempotency-Key']).not.toBe(second!['Idempotency-Key']);
  });

  it('that only reads carries no token', async () => {
    setCsrfToken('secret');
    const sent = answering(200, {});
    await api.get('/home');
    expect(sent[0]!.init.headers).not.toHaveProperty('X-CSRF-Token');
  });

  it('that is refused throws what the server says', async () => {
    answering(409, { title: 'Conflict', detail: 'there is such a run', status: 409 });
    await expect(api.get('/home')).rejects.toMatchObject({ status: 409, message: 'there is such a run' });
  });

  it('that is answered by something else than the API throws its status', async () => {
    vi.stubGlobal('fetch', async () => new Response('<html>', { status: 502, statusText: 'Bad Gateway' }));
    await expect(api.get('/home')).rejects.toMatchObject({ status: 502 });
  });

  it('that reaches nobody throws status 0', async () => {
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('failed to fetch');
    });
    await expect(api.get('/home')).rejects.toSatisfy((error) => error instanceof ApiError && error.status === 0);
  });

  it('without a session leads to the login page, but for the question who is logged in', async () => {
    const over = vi.fn();
    whenUnauthorised(over);
    answering(401, { title: 'Nobody', detail: 'log in', status: 401 });
    await expect(api.get('/session')).rejects.toThrow();
    expect(over).not.toHaveBeenCalled();
    await expect(api.get('/home')).rejects.toThrow();
    expect(over).toHaveBeenCalledTimes(1);
  });
});
