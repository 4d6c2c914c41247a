export const task = {
  'task.title': 'task',
} as const;
