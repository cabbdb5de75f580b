from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('tasks', '0011_task_client'),
    ]

    operations = [
        # An interrupted attempt leaves an invalid index behind.
        migrations.RunSQL(
            [
                "DROP INDEX CONCURRENTLY IF EXISTS idx_tasks_client",
                "DROP INDEX CONCURRENTLY IF EXISTS idx_tasks_client_status",
                "DROP INDEX CONCURRENTLY IF EXISTS idx_tasks_client_updated_at",
            ],
            migrations.RunSQL.noop,
        ),
        AddIndexConcurrently(
            model_name='task',
            index=models.Index(fields=['client', 'created_at', 'id'], name='idx_tasks_client'),
        ),
        AddIndexConcurrently(
            model_name='task',
            index=models.Index(condition=models.Q(('client__isnull', False)), fields=['client', 'status', 'priority', 'created_at', 'id'], name='idx_tasks_client_status'),
        ),
        AddIndexConcurrently(
            model_name='task',
            index=models.Index(condition=models.Q(('client__isnull', False)), fields=['client', 'updated_at'], name='idx_tasks_client_updated_at'),
        ),
    ]
