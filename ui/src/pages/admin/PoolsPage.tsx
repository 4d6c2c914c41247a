import { PageHeader } from '@/components/PageHeader';

export default function PoolsPage(_: { name?: string }) {
  return <PageHeader title="PoolsPage" />;
}
