export const admin = {
  'admin.title': 'admin',
} as const;
