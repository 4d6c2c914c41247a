/** How Mantine looks here: dense, calm, one accent. Colours of our own are in base.css. */
import {
  type CSSVariablesResolver,
  type MantineColorSchemeManager,
  type MantineColorsTuple,
  createTheme,
} from '@mantine/core';

const accent: MantineColorsTuple = [
  '#eef2ff',
  '#dce4fb',
  '#b9c8f5',
  '#93a9ee',
  '#7390e8',
  '#5f80e4',
  '#4a6fdc',
  '#3b5bdb',
  '#304cb8',
  '#263d95',
];
const dark: MantineColorsTuple = [
  '#d5d9e0',
  '#b4bac4',
  '#98a0ac',
  '#727b88',
  '#4b535f',
  '#363d47',
  '#262b33',
  '#1c2027',
  '#15181d',
  '#101216',
];

/** White on 7 is 5.6:1, on 8 6.8:1. */
const red: MantineColorsTuple = [
  '#fff1f1',
  '#ffe0e0',
  '#ffc4c4',
  '#ffa0a0',
  '#ff8080',
  '#f25c5c',
  '#de3b3b',
  '#c92a2a',
  '#b02222',
  '#931a1a',
];

export const theme = createTheme({
  primaryColor: 'accent',
  primaryShade: 7,
  colors: { accent, dark, red },
  autoContrast: true,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '18px' },
  defaultRadius: 'sm',
  cursorType: 'pointer',
  components: {
    Button: { defaultProps: { size: 'xs' } },
    TextInput: { defaultProps: { size: 'xs' } },
    PasswordInput: { defaultProps: { size: 'xs' } },
    NumberInput: { defaultProps: { size: 'xs' } },
    Textarea: { defaultProps: { size: 'xs' } },
    Select: { defaultProps: { size: 'xs' } },
    NativeSelect: { defaultProps: { size: 'xs' } },
    SegmentedControl: { defaultProps: { size: 'xs' } },
    Switch: { defaultProps: { size: 'sm' } },
    Checkbox: { defaultProps: { size: 'xs' } },
    Tooltip: { defaultProps: { openDelay: 250, withArrow: true, multiline: true, maw: 360 } },
    Modal: {
      defaultProps: { centered: true, overlayProps: { backgroundOpacity: 0.45 }, transitionProps: { duration: 120 } },
    },
    // The head of a dialog is no landmark of the page.
    ModalHeader: { defaultProps: { role: 'presentation' } },
    Menu: { defaultProps: { transitionProps: { duration: 100 }, shadow: 'md' } },
  },
});

const ours = {
  '--mantine-color-dimmed': 'var(--dim)',
  '--mantine-color-placeholder': 'var(--dim)',
  '--mantine-color-error': 'var(--state-failed-text)',
  '--mantine-color-default-border': 'var(--line)',
  '--mantine-color-anchor': 'var(--accent-text)',
};
/** Mantine's own colours for these have too little contrast. */
export const cssVariables: CSSVariablesResolver = () => ({ variables: {}, light: ours, dark: ours });

const KEY = 'airloom-theme';
const isScheme = (value: string | null): value is 'light' | 'dark' | 'auto' =>
  value === 'light' || value === 'dark' || value === 'auto';

/** Keeps the choice between visits, under the name that public/theme.js reads. */
export const schemeManager: MantineColorSchemeManager = {
  get: (fallback) => {
    try {
      const kept = localStorage.getItem(KEY);
      return isScheme(kept) ? kept : fallback;
    } catch {
      return fallback;
    }
  },
  set: (value) => {
    try {
      localStorage.setItem(KEY, value);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
  },
  subscribe: () => {},
  unsubscribe: () => {},
  clear: () => {},
};
