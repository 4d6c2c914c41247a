export const dag = {
  'dag.title': 'dag',
} as const;
