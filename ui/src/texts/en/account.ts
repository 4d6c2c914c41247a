export const account = {
  'account.title': 'account',
} as const;
