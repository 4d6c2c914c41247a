export const runs = {
  'runs.title': 'runs',
} as const;
