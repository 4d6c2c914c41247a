import { PageHeader } from '@/components/PageHeader';

export default function ConnectionsPage() {
  return <PageHeader title="ConnectionsPage" />;
}
