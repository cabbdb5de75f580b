from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0007_search_path'),
    ]

    operations = [
        migrations.AddField(
            model_name='event',
            name='actor_kind',
            field=models.TextField(choices=[('service', 'service'), ('client', 'client'), ('staff', 'staff')], null=True),
        ),
        # The rows that there are have none, so that there is nothing to look for in a long table.
        AddConstraintNotValid(
            model_name='event',
            constraint=models.CheckConstraint(condition=models.Q(('actor_kind__in', ['service', 'client', 'staff'])), name='task_events_actor_kind_known'),
        ),
    ]
