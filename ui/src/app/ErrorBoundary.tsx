import { Button } from '@mantine/core';
import { Component, type ReactNode } from 'react';
import { Command } from '@/components/Command';
import { EmptyState } from '@/components/EmptyState';
import { t } from '@/texts';
import { PartMissing, isPartMissing } from './PartMissing';

type State = { error: Error | null };

/** Catches a fault in what it holds, and says what to do. */
export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    if (isPartMissing(error)) return <PartMissing />;
    return (
      <div role="alert">
        <EmptyState
          title={t('shell.crashed')}
          action={<Button onClick={() => location.reload()}>{t('shell.crashed.reload')}</Button>}
        >
          {t('shell.crashed.text')}
          <Command text={(error.stack ?? error.message).split('\n').slice(0, 4).join('\n')} />
        </EmptyState>
      </div>
    );
  }
}
