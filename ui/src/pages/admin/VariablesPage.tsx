import { PageHeader } from '@/components/PageHeader';

export default function VariablesPage() {
  return <PageHeader title="VariablesPage" />;
}
