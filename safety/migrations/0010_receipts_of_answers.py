"""Receipts of what arms answered, beside those of submissions.

This is not one transaction, so that nothing is locked for long: if it is interrupted, run `migrate`
again. Web processes of the version before go on; they insert receipts of submissions only.
"""

from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models, transaction

# Of some milliseconds: the constraints are checked for new rows only, and below for the others. While
# this waits for the table, inserts queue up behind it, so it gives up soon.
CONSTRAINTS = """
ALTER TABLE receipts
    DROP CONSTRAINT IF EXISTS receipts_occasion_known,
    DROP CONSTRAINT IF EXISTS receipts_subject_known,
    ADD CONSTRAINT receipts_occasion_known CHECK (occasion IN ({occasions})) NOT VALID,
    ADD CONSTRAINT receipts_subject_known CHECK (
        {answers}
        (occasion = 'submission' AND subject_id IS NULL AND verdict IN ('blocked', 'none'))
        OR (
            NOT (verdict IN ('blocked', 'none')) AND occasion = 'submission'
            AND subject_id IS NOT NULL
        )
    ) NOT VALID
"""
WITH_ANSWERS = CONSTRAINTS.format(
    occasions="'submission', 'answer'",
    answers="(occasion = 'answer' AND subject_id IS NOT NULL) OR",
)
WITHOUT_ANSWERS = CONSTRAINTS.format(occasions="'submission'", answers="")
# The version before would take them for receipts of submissions.
FORGET_ANSWERS = "DELETE FROM receipts WHERE occasion = 'answer'"


def allow_answers(apps, schema_editor):
    _execute([WITH_ANSWERS], schema_editor.connection)


def forbid_answers(apps, schema_editor):
    _execute([FORGET_ANSWERS, WITHOUT_ANSWERS], schema_editor.connection)


def _execute(statements, connection):
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        for statement in statements:
            cursor.execute(statement)


def index(name, definition, before):
    """Return the operation that replaces an index by one with more columns, under the same name."""

    def statements(definition):
        return [
            # An interrupted attempt leaves it behind.
            f"DROP INDEX CONCURRENTLY IF EXISTS {name}_new",
            f"CREATE INDEX CONCURRENTLY {name}_new ON receipts {definition}",
            f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
            f"ALTER INDEX {name}_new RENAME TO {name}",
        ]

    return migrations.RunSQL(statements(definition), statements(before))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('safety', '0009_receipt_client_index'),
    ]

    operations = [
        migrations.AlterField(
            model_name='receipt',
            name='occasion',
            field=models.TextField(choices=[('submission', 'Submission'), ('answer', 'Answer')], db_default='submission', default='submission'),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunPython(allow_answers, forbid_answers),
            ],
            state_operations=[
                migrations.RemoveConstraint(model_name='receipt', name='receipts_occasion_known'),
                migrations.RemoveConstraint(model_name='receipt', name='receipts_subject_known'),
                AddConstraintNotValid(
                    model_name='receipt',
                    constraint=models.CheckConstraint(condition=models.Q(('occasion__in', ['submission', 'answer'])), name='receipts_occasion_known'),
                ),
                AddConstraintNotValid(
                    model_name='receipt',
                    constraint=models.CheckConstraint(condition=models.Q(models.Q(('occasion', 'answer'), ('subject_id__isnull', False)), models.Q(('occasion', 'submission'), ('subject_id__isnull', True), ('verdict__in', ('blocked', 'none'))), models.Q(models.Q(('verdict__in', ('blocked', 'none')), _negated=True), ('occasion', 'submission'), ('subject_id__isnull', False)), _connector='OR'), name='receipts_subject_known'),
                ),
            ],
        ),
        ValidateConstraint(model_name='receipt', name='receipts_occasion_known'),
        ValidateConstraint(model_name='receipt', name='receipts_subject_known'),
        # The indexes below are built while inserts go on.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                index(
                    'idx_receipts_created_at',
                    "(created_at) INCLUDE (verdict, occasion)",
                    "(created_at) INCLUDE (verdict)",
                ),
                index(
                    'idx_receipts_found',
                    "(created_at) INCLUDE (types, occasion) WHERE NOT (types = '[]'::jsonb)",
                    "(created_at) INCLUDE (types) WHERE NOT (types = '[]'::jsonb)",
                ),
            ],
            state_operations=[
                migrations.RemoveIndex(model_name='receipt', name='idx_receipts_created_at'),
                migrations.RemoveIndex(model_name='receipt', name='idx_receipts_found'),
                migrations.AddIndex(
                    model_name='receipt',
                    index=models.Index(fields=['created_at'], include=('verdict', 'occasion'), name='idx_receipts_created_at'),
                ),
                migrations.AddIndex(
                    model_name='receipt',
                    index=models.Index(condition=models.Q(('types', []), _negated=True), fields=['created_at'], include=('types', 'occasion'), name='idx_receipts_found'),
                ),
            ],
        ),
        migrations.RunSQL(
            [
                "DROP INDEX CONCURRENTLY IF EXISTS idx_receipts_answers",
                "DROP INDEX CONCURRENTLY IF EXISTS idx_receipts_answers_of",
            ],
            migrations.RunSQL.noop,
        ),
        AddIndexConcurrently(
            model_name='receipt',
            index=models.Index(condition=models.Q(('occasion', 'answer')), fields=['created_at'], name='idx_receipts_answers'),
        ),
        AddIndexConcurrently(
            model_name='receipt',
            index=models.Index(condition=models.Q(('occasion', 'answer')), fields=['subject_id', 'created_at'], name='idx_receipts_answers_of'),
        ),
    ]
