import { PageHeader } from '@/components/PageHeader';

export default function DagPage(_: { dagId: string; tab?: string }) {
  return <PageHeader title="DagPage" />;
}
