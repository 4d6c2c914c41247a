import { PageHeader } from '@/components/PageHeader';

export default function QueuesPage() {
  return <PageHeader title="QueuesPage" />;
}
