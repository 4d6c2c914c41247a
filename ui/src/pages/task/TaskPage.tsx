import { PageHeader } from '@/components/PageHeader';

export default function TaskPage(_: { dagId: string; runId: string; taskId: string; tab?: string }) {
  return <PageHeader title="TaskPage" />;
}
