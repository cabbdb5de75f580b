"""Receipts that are older than `0006` get their `subject_id`, without locking inserts out.

This is not one transaction: if it is interrupted, the next `migrate` continues with what is left.
"""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations, models

# A few thousand rows, which takes a fraction of a second.
PAGES_PER_BATCH = 256
PAGES = "SELECT pg_relation_size('receipts') / current_setting('block_size')::integer"
# In the order in which rows lie on the disk, so that no index has to be read. Rows beyond the pages
# counted above were inserted or updated meanwhile, and so have their subject.
FILL = """
UPDATE receipts SET subject_id = id
WHERE ctid >= %s::tid AND ctid < %s::tid
    AND subject_id IS NULL AND verdict NOT IN ('blocked', 'none')
"""


def fill(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(PAGES)
        [pages] = cursor.fetchone()
        for first in range(0, pages, PAGES_PER_BATCH):
            cursor.execute(FILL, [f"({first},0)", f"({first + PAGES_PER_BATCH},0)"])


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('safety', '0006_receipt_subject'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        # They fail if a row is left.
        ValidateConstraint(model_name='receipt', name='receipts_occasion_known'),
        ValidateConstraint(model_name='receipt', name='receipts_subject_known'),
        # After the rows, so that the batches need not maintain it.
        migrations.RunSQL(
            [
                # An interrupted attempt leaves an invalid index behind.
                "DROP INDEX CONCURRENTLY IF EXISTS receipts_one_submission_each",
                "CREATE UNIQUE INDEX CONCURRENTLY receipts_one_submission_each ON receipts (subject_id)"
                " WHERE occasion = 'submission' AND subject_id IS NOT NULL",
            ],
            "DROP INDEX CONCURRENTLY IF EXISTS receipts_one_submission_each",
            state_operations=[
                migrations.AddConstraint(
                    model_name='receipt',
                    constraint=models.UniqueConstraint(condition=models.Q(('occasion', 'submission'), ('subject_id__isnull', False)), fields=('subject_id',), name='receipts_one_submission_each'),
                ),
            ],
        ),
    ]
