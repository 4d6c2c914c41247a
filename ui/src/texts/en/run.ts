export const run = {
  'run.title': 'run',
} as const;
