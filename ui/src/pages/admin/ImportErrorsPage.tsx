import { PageHeader } from '@/components/PageHeader';

export default function ImportErrorsPage() {
  return <PageHeader title="ImportErrorsPage" />;
}
