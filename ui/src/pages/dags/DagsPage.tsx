import { PageHeader } from '@/components/PageHeader';

export default function DagsPage() {
  return <PageHeader title="DagsPage" />;
}
