import django.contrib.postgres.fields
import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0004_roles'),
    ]

    operations = [
        migrations.CreateModel(
            name='Action',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('verb', models.TextField(choices=[('cancel', 'Cancel'), ('requeue', 'Put back to pending'), ('priority_low', 'Change priority to low'), ('priority_medium', 'Change priority to medium'), ('priority_high', 'Change priority to high'), ('priority_critical', 'Change priority to critical')])),
                ('actor', models.TextField()),
                ('reason', models.TextField(default='')),
                ('task_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), size=None)),
                ('chosen', models.GeneratedField(db_persist=True, expression=models.Func(models.F('task_ids'), function='cardinality'), output_field=models.IntegerField())),
                ('position', models.IntegerField(default=0)),
                ('changed', models.IntegerField(default=0)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('confirmed_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'task_actions',
                'ordering': ('-created_at',),
                'default_permissions': (),
                'constraints': [models.CheckConstraint(condition=models.Q(('verb__in', ['cancel', 'requeue', 'priority_low', 'priority_medium', 'priority_high', 'priority_critical'])), name='task_actions_verb_known'), models.CheckConstraint(condition=models.Q(('chosen__gt', 0)), name='task_actions_chosen_some'), models.CheckConstraint(condition=models.Q(('changed__gte', 0), ('chosen__gte', models.F('position')), ('position__gte', models.F('changed'))), name='task_actions_counts_in_order'), models.CheckConstraint(condition=models.Q(models.Q(('confirmed_at__isnull', False), ('reason__gt', '')), models.Q(('confirmed_at', None), ('ended_at', None), ('position', 0), ('reason', '')), _connector='OR'), name='task_actions_confirmed_for_a_reason')],
            },
        ),
    ]
