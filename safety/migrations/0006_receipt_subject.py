"""Receipts get `subject_id` and `occasion`; `0007` fills the rows that exist already.

Web processes of the version before keep inserting while this runs and afterwards. They do not know
the new columns: `occasion` has a default, and a trigger sets `subject_id`. A later migration may
drop the trigger, once no process of that version can be left.
"""

import time

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import OperationalError, migrations, models, transaction
from psycopg.errors import LockNotAvailable

# Everything that locks inserts out, in one transaction of a few milliseconds. The constraints are
# checked for new rows only; `0007` checks the others, which takes longer and locks nothing out.
ADD = (
    """
    ALTER TABLE receipts
        ADD COLUMN subject_id uuid,
        ADD COLUMN occasion text DEFAULT 'submission' NOT NULL,
        ADD CONSTRAINT receipts_occasion_known CHECK (occasion IN ('submission')) NOT VALID,
        ADD CONSTRAINT receipts_subject_known CHECK (
            NOT (occasion = 'submission')
            OR (subject_id IS NULL AND verdict IN ('blocked', 'none'))
            OR (NOT (verdict IN ('blocked', 'none')) AND subject_id IS NOT NULL)
        ) NOT VALID
    """,
    # As every trigger function it has a search path of its own, so that the caller's is irrelevant.
    """
    CREATE FUNCTION name_subject_of_receipt() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        NEW.subject_id := NEW.id;
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE TRIGGER receipts_name_subject BEFORE INSERT ON receipts FOR EACH ROW
        WHEN (
            NEW.subject_id IS NULL AND NEW.occasion = 'submission'
            AND NEW.verdict NOT IN ('blocked', 'none')
        )
        EXECUTE FUNCTION name_subject_of_receipt()
    """,
)
REMOVE = (
    "DROP TRIGGER receipts_name_subject ON receipts",
    "DROP FUNCTION name_subject_of_receipt()",
    # The version before finds a receipt by the id of its task.
    "UPDATE receipts SET id = subject_id WHERE subject_id <> id",
    "ALTER TABLE receipts DROP COLUMN subject_id, DROP COLUMN occasion",
)
# While this waits for the table, inserts queue up behind it. So it gives up soon, lets them through
# and tries again.
WAIT_MILLISECONDS = 500
PAUSE_SECONDS = 0.5
ATTEMPTS = 60


def add(apps, schema_editor):
    for _ in range(ATTEMPTS - 1):
        try:
            return _execute(ADD, schema_editor.connection)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
        time.sleep(PAUSE_SECONDS)
    return _execute(ADD, schema_editor.connection)


def remove(apps, schema_editor):
    _execute(REMOVE, schema_editor.connection)


def _execute(statements, connection):
    # A savepoint inside the migration's transaction: if it fails, its locks are released.
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {WAIT_MILLISECONDS}")
        for statement in statements:
            cursor.execute(statement)


class Migration(migrations.Migration):

    dependencies = [
        ('safety', '0005_blocked_for_a_reason'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add, remove)],
            state_operations=[
                migrations.AddField(
                    model_name='receipt',
                    name='subject_id',
                    field=models.UUIDField(null=True),
                ),
                migrations.AddField(
                    model_name='receipt',
                    name='occasion',
                    field=models.TextField(choices=[('submission', 'Submission')], db_default='submission', default='submission'),
                ),
                AddConstraintNotValid(
                    model_name='receipt',
                    constraint=models.CheckConstraint(condition=models.Q(('occasion__in', ['submission'])), name='receipts_occasion_known'),
                ),
                AddConstraintNotValid(
                    model_name='receipt',
                    constraint=models.CheckConstraint(condition=models.Q(models.Q(('occasion', 'submission'), _negated=True), models.Q(('subject_id__isnull', True), ('verdict__in', ('blocked', 'none'))), models.Q(models.Q(('verdict__in', ('blocked', 'none')), _negated=True), ('subject_id__isnull', False)), _connector='OR'), name='receipts_subject_known'),
                ),
            ],
        ),
    ]
