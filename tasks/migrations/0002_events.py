import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

# For each statement, not for each row: also one that finds no row is refused, and TRUNCATE knows no
# other way.
REFUSE_CHANGES = """
CREATE FUNCTION refuse_to_change_task_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events of tasks are never changed or deleted: % refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation',
            HINT = 'Who must delete some disables the trigger first: docs/operations.md says how.';
END
$$;
CREATE TRIGGER task_events_refuse_changes BEFORE UPDATE OR DELETE ON task_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_task_events();
CREATE TRIGGER task_events_refuse_truncate BEFORE TRUNCATE ON task_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_task_events();
"""
ALLOW_CHANGES = """
DROP TRIGGER task_events_refuse_truncate ON task_events;
DROP TRIGGER task_events_refuse_changes ON task_events;
DROP FUNCTION refuse_to_change_task_events();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('kind', models.TextField(choices=[('status', 'entered a status'), ('priority', 'got another priority')])),
                ('actor', models.TextField(db_default='', default='')),
                ('reason', models.TextField(db_default='', default='')),
                ('data', models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('task', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='tasks.task')),
            ],
            options={
                'db_table': 'task_events',
                'ordering': ('id',),
                'indexes': [models.Index(fields=['task', 'id'], name='idx_task_events_task_id')],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['status', 'priority'])), name='task_events_kind_known')],
            },
        ),
        migrations.RunSQL(REFUSE_CHANGES, ALLOW_CHANGES),
    ]
