from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('safety', '0008_receipt_client'),
    ]

    operations = [
        # An interrupted attempt leaves an invalid index behind.
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS idx_receipts_client", migrations.RunSQL.noop
        ),
        AddIndexConcurrently(
            model_name='receipt',
            index=models.Index(fields=['client_id', 'created_at'], include=('verdict',), name='idx_receipts_client'),
        ),
    ]
