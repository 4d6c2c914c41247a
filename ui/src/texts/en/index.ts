/** English. A file for each area, so that a page's words are beside each other; keys begin with the area's name. */
import { account } from './account';
import { admin } from './admin';
import { dag } from './dag';
import { dags } from './dags';
import { home } from './home';
import { run } from './run';
import { runs } from './runs';
import { shared } from './shared';
import { shell } from './shell';
import { states } from './states';
import { task } from './task';

export const en = {
  ...shared,
  ...shell,
  ...states,
  ...home,
  ...dags,
  ...dag,
  ...runs,
  ...run,
  ...task,
  ...admin,
  ...account,
} as const;
