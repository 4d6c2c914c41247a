/** The one way to the API: typed by the OpenAPI document, errors as ApiError, CSRF and idempotency taken care of. */
import type { paths } from './schema';

const PREFIX = '/api/v1';

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type Short<P> = P extends `/api/v1${infer Rest}` ? Rest : never;
type Operation<P extends string, M extends Method> = `/api/v1${P}` extends keyof paths
  ? paths[`/api/v1${P}`][M]
  : never;
/** The paths that have an operation of that method, without /api/v1. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: [paths[P][M]] extends [undefined] ? never : Short<P>;
}[keyof paths];

type PathParams<O> = O extends { parameters: { path: infer T } } ? T : undefined;
type QueryParams<O> = O extends { parameters: { query?: infer T } } ? T : undefined;
type Body<O> = O extends { requestBody: { content: { 'application/json': infer T } } } ? T : undefined;
type Json<R> = R extends { content: { 'application/json': infer T } } ? T : undefined;
/** What an operation answers when it goes well. */
export type Answer<P extends string, M extends Method = 'get'> =
  Operation<P, M> extends { responses: infer R }
    ? R extends { 201: infer T }
      ? Json<T>
      : R extends { 200: infer T }
        ? Json<T>
        : undefined
    : never;

/** What an operation takes: `path` fills the braces, `query` follows the question mark, `body` is sent as JSON. */
export type Args<P extends string, M extends Method = 'get'> = {
  path?: PathParams<Operation<P, M>>;
  query?: QueryParams<Operation<P, M>> extends undefined ? Record<string, QueryValue> : QueryParams<Operation<P, M>>;
  body?: Body<Operation<P, M>>;
  signal?: AbortSignal;
};
export type QueryValue = string | number | boolean | null | undefined | readonly (string | number)[];

/** What the API says is wrong: `message` is its sentence for people. status 0: the server could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
    readonly errors: readonly { where: string; text: string }[] = [],
  ) {
    super(detail);
    this.name = 'ApiError';
  }
}

let csrfToken: string | null = null;
let onUnauthorised: () => void = () => {};

/** The token of the session, which every change has to carry. */
export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

/** What to do when the session is over. */
export function whenUnauthorised(action: () => void): void {
  onUnauthorised = action;
}

/** The address of an operation, to be opened by the browser (downloads, event streams). */
export function address(path: string, args: { path?: unknown; query?: unknown } = {}): string {
  const values = (args.path ?? {}) as Record<string, string | number>;
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name])));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries((args.query ?? {}) as Record<string, QueryValue>)) {
    if (value === undefined || value === null || value === '') continue;
    for (const item of Array.isArray(value) ? value : [value]) search.append(name, String(item));
  }
  const text = search.toString();
  return PREFIX + filled + (text ? `?${text}` : '');
}

async function problemOf(response: Response): Promise<ApiError> {
  try {
    const body = await response.json();
    return new ApiError(response.status, body.title ?? response.statusText, body.detail ?? body.title, body.errors);
  } catch {
    return new ApiError(response.status, response.statusText, `${response.status} ${response.statusText}`);
  }
}

async function send<T>(method: Method, path: string, args: Args<string, Method>): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (args.body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'get' && csrfToken) headers['X-CSRF-Token'] = csrfToken;
  if (method === 'post') headers['Idempotency-Key'] = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  let response: Response;
  try {
    response = await fetch(address(path, args), {
      method: method.toUpperCase(),
      headers,
      credentials: 'same-origin',
      body: args.body === undefined ? undefined : JSON.stringify(args.body),
      signal: args.signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'unreachable', '');
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (problem.status === 401 && path !== '/session') onUnauthorised();
    throw problem;
  }
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

type Call<M extends Method> = <P extends PathOf<M> & string>(path: P, args?: Args<P, M>) => Promise<Answer<P, M>>;
const call =
  <M extends Method>(method: M): Call<M> =>
  (path, args) =>
    send(method, path, (args ?? {}) as Args<string, Method>);

/** `api.get('/dags/{dag_id}', { path: { dag_id } })`. Throws ApiError. */
export const api = {
  get: call('get'),
  post: call('post'),
  put: call('put'),
  patch: call('patch'),
  delete: call('delete'),
};
