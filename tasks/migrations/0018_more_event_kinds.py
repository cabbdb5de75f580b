from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0017_more_actions'),
    ]

    # A transaction of its own: together with a lock on the tasks, it could wait for a change of a
    # task that waits for it.
    operations = [
        # While this waits for the table, inserts queue up behind it, so it gives up soon. It can be
        # run again.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='event',
            name='kind',
            field=models.TextField(choices=[('status', 'entered a status'), ('priority', 'got another priority'), ('run', 'a run began'), ('claim', 'a worker claimed it'), ('call', 'an arm was called'), ('retry', 'it is tried again'), ('park', 'it waits'), ('recovery', 'another worker took over'), ('result', 'a result came'), ('release', 'it was released'), ('plan', 'a plan was made'), ('check', 'the criteria were checked'), ('decision', 'it was decided about')]),
        ),
        migrations.RemoveConstraint(
            model_name='event',
            name='task_events_kind_known',
        ),
        # The rows that there are have none of the new kinds, so that there is nothing to look for in
        # a long table.
        AddConstraintNotValid(
            model_name='event',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['status', 'priority', 'run', 'claim', 'call', 'retry', 'park', 'recovery', 'result', 'release', 'plan', 'check', 'decision'])), name='task_events_kind_known'),
        ),
    ]
