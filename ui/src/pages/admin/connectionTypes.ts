/** What the fields of a connection mean for its type. A field that is not named here has its plain name. */
import type { TextKey } from '@/texts';

export type Field = 'host' | 'port' | 'login' | 'password' | 'schema';
type Meaning = Partial<Record<Field, TextKey | null>>;

const DATABASE: Meaning = { schema: 'connections.field.database', login: 'connections.field.user' };
const WEB: Meaning = {
  host: 'connections.field.baseUrl',
  schema: 'connections.field.scheme',
  login: 'connections.field.user',
};

/** null: the type has no such field. */
const MEANINGS: Record<string, Meaning> = {
  postgres: DATABASE,
  mysql: DATABASE,
  mssql: DATABASE,
  oracle: DATABASE,
  redshift: DATABASE,
  clickhouse: DATABASE,
  snowflake: { ...DATABASE, port: null },
  sqlite: { host: 'connections.field.file', port: null, login: null, password: null, schema: null },
  mongo: DATABASE,
  redis: { schema: null },
  http: WEB,
  slackwebhook: {
    host: 'connections.field.webhook',
    password: 'connections.field.token',
    login: null,
    port: null,
    schema: null,
  },
  slack: { password: 'connections.field.token', host: null, login: null, port: null, schema: null },
  aws: {
    login: 'connections.field.accessKey',
    password: 'connections.field.secretKey',
    host: null,
    port: null,
    schema: null,
  },
  google_cloud_platform: { host: null, port: null, login: null, password: null, schema: null },
  ssh: { login: 'connections.field.user', schema: null },
  sftp: { login: 'connections.field.user', schema: null },
  ftp: { login: 'connections.field.user', schema: null },
  smtp: { login: 'connections.field.user', schema: 'connections.field.from' },
  generic: {},
};
const PLAIN: Record<Field, TextKey> = {
  host: 'connections.host',
  port: 'connections.port',
  login: 'connections.login',
  password: 'connections.password',
  schema: 'connections.schema',
};
const PORTS: Record<string, number> = {
  postgres: 5432,
  mysql: 3306,
  mssql: 1433,
  oracle: 1521,
  redshift: 5439,
  clickhouse: 8123,
  mongo: 27017,
  redis: 6379,
  ssh: 22,
  sftp: 22,
  ftp: 21,
  smtp: 587,
};

export const TYPES: readonly string[] = Object.keys(MEANINGS);
/** What a field is called; null: the type does not use it. */
export function fieldName(type: string, field: Field): TextKey | null {
  const meaning = MEANINGS[type]?.[field];
  return meaning === undefined ? PLAIN[field] : meaning;
}
export const usualPort = (type: string): number | undefined => PORTS[type];
