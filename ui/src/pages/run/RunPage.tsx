import { PageHeader } from '@/components/PageHeader';

export default function RunPage(_: { dagId: string; runId: string; tab?: string }) {
  return <PageHeader title="RunPage" />;
}
