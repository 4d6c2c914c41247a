export const dags = {
  'dags.title': 'dags',
} as const;
