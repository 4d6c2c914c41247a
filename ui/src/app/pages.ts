/** The pages of the navigation and of the palette: where, called what, for whom. */
import {
  IconAlertTriangle,
  IconBraces,
  IconClipboardList,
  IconHome,
  IconKey,
  IconPlayerPlay,
  IconPlug,
  IconServer,
  IconStack2,
  IconTopologyStar3,
  IconUsers,
} from '@tabler/icons-react';
import type { ComponentType } from 'react';
import type { RoleName } from '@/api/session';
import { to } from '@/routing/paths';
import type { PlainKey } from '@/texts';

type Icon = ComponentType<{ size?: number; stroke?: number; 'aria-hidden'?: boolean }>;
/** needs: the role on everything that it takes to see it; left out: whoever is logged in. */
export type NavPage = { to: string; text: PlainKey; icon: Icon; needs?: RoleName; key?: string };
export type NavSection = { text: PlainKey; pages: readonly NavPage[] };

export const sections: readonly NavSection[] = [
  {
    text: 'shell.section.work',
    pages: [
      { to: to.home(), text: 'shell.home', icon: IconHome, key: 'h' },
      { to: to.dags(), text: 'shell.dags', icon: IconTopologyStar3, key: 'd' },
      { to: to.runs(), text: 'shell.runs', icon: IconPlayerPlay, key: 'r' },
      { to: to.importErrors(), text: 'shell.importErrors', icon: IconAlertTriangle },
    ],
  },
  {
    text: 'shell.section.resources',
    pages: [
      { to: to.pools(), text: 'shell.pools', icon: IconStack2, needs: 'viewer' },
      { to: to.workers(), text: 'shell.workers', icon: IconServer, needs: 'viewer' },
      { to: to.variables(), text: 'shell.variables', icon: IconBraces, needs: 'operator' },
      { to: to.connections(), text: 'shell.connections', icon: IconPlug, needs: 'operator' },
    ],
  },
  {
    text: 'shell.section.admin',
    pages: [
      { to: to.users(), text: 'shell.users', icon: IconUsers, needs: 'admin' },
      { to: to.tokens(), text: 'shell.tokens', icon: IconKey },
      { to: to.audit(), text: 'shell.audit', icon: IconClipboardList, needs: 'admin' },
    ],
  },
];

/** The role that the page at a path needs; undefined if it needs none. */
export const neededFor = (path: string): RoleName | undefined =>
  sections
    .flatMap((section) => section.pages)
    .find((page) => page.needs && (path === page.to || path.startsWith(`${page.to}/`)))?.needs;
