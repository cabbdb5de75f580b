import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import tasks.arms.description
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0014_event_kinds'),
    ]

    operations = [
        # While this waits for a table, inserts queue up behind it, so it gives up soon. It can be run
        # again.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='Arm',
            fields=[
                ('name', models.TextField(primary_key=True, serialize=False)),
                ('protocol', models.TextField(choices=[('octollm', 'octollm'), ('openai', 'openai')])),
                ('url', models.TextField()),
                ('model', models.TextField(blank=True, db_default='', default='')),
                ('capabilities', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(choices=[('execute', 'execute'), ('plan', 'plan'), ('validate', 'validate')]), size=None)),
                ('room', models.IntegerField(default=8)),
                ('timeout_seconds', models.IntegerField(default=60)),
                ('is_idempotent', models.BooleanField(default=False)),
                ('tier', models.IntegerField(default=3)),
                ('usd_per_million_input', models.DecimalField(decimal_places=6, default=0, max_digits=12)),
                ('usd_per_million_output', models.DecimalField(decimal_places=6, default=0, max_digits=12)),
                ('max_answer_tokens', models.IntegerField(default=4096)),
                ('refused_parameters', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), blank=True, default=list, size=None)),
                ('is_enabled', models.BooleanField(db_default=True, default=True)),
                ('health', models.TextField(choices=[('unknown', 'unknown'), ('healthy', 'healthy'), ('degraded', 'degraded'), ('down', 'down'), ('misconfigured', 'misconfigured')], db_default='unknown', default=tasks.arms.description.Health['UNKNOWN'])),
                ('health_since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('checked_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'arms',
                'ordering': ('name',),
                'permissions': (('manage_arms', 'Can register, change, enable and disable arms'),),
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='Attempt',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('number', models.IntegerField()),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('lease_until', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('outcome', models.TextField(choices=[('done', 'Done'), ('failed', 'Failed'), ('retried', 'Retried'), ('parked', 'Parked'), ('lost', 'Lost'), ('cancelled', 'Cancelled')], null=True)),
            ],
            options={
                'db_table': 'attempts',
                'ordering': ('id',),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Budget',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('day', models.DateField(null=True, unique=True)),
                ('max_tokens', models.BigIntegerField(null=True)),
                ('max_cost_usd', models.DecimalField(decimal_places=8, max_digits=16, null=True)),
                ('reserved_tokens', models.BigIntegerField(db_default=0, default=0)),
                ('reserved_usd', models.DecimalField(db_default=0, decimal_places=8, default=0, max_digits=16)),
                ('spent_tokens', models.BigIntegerField(db_default=0, default=0)),
                ('spent_usd', models.DecimalField(db_default=0, decimal_places=8, default=0, max_digits=16)),
                ('spent_seconds', models.FloatField(db_default=0, default=0)),
                ('is_estimated', models.BooleanField(db_default=False, default=False)),
            ],
            options={
                'db_table': 'budgets',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Call',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('number', models.IntegerField()),
                ('client_id', models.UUIDField(null=True)),
                ('request_digest', models.BinaryField()),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ended_at', models.DateTimeField(null=True)),
                ('outcome', models.TextField(choices=[('succeeded', 'Succeeded'), ('failed', 'Failed'), ('refused', 'Refused'), ('misconfigured', 'Misconfigured'), ('not_sent', 'not sent'), ('unknown', 'Unknown')], null=True)),
                ('reserved_tokens', models.BigIntegerField()),
                ('reserved_usd', models.DecimalField(decimal_places=8, max_digits=16)),
                ('tokens', models.BigIntegerField(null=True)),
                ('cost_usd', models.DecimalField(decimal_places=8, max_digits=16, null=True)),
                ('is_estimated', models.BooleanField(db_default=False, default=False)),
                ('day', models.DateField(null=True)),
                ('detail', models.TextField(db_default='', default='')),
            ],
            options={
                'db_table': 'calls',
                'ordering': ('id',),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Count',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.TextField()),
                ('labels', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('shard', models.SmallIntegerField()),
                ('value', models.DecimalField(decimal_places=8, max_digits=28)),
            ],
            options={
                'db_table': 'counts',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Pause',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('began_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('actor', models.TextField()),
                ('reason', models.TextField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('ended_by', models.TextField(db_default='', default='')),
            ],
            options={
                'db_table': 'pauses',
                'ordering': ('-id',),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Run',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('number', models.IntegerField()),
                ('pinned_arm', models.TextField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('started_at', models.DateTimeField(null=True)),
                ('ends_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('failure_code', models.TextField(choices=[('arm_failed', 'Arm Failed'), ('output_refused', 'Output Refused'), ('answer_unscreened', 'Answer Unscreened'), ('outcome_unknown', 'Outcome Unknown'), ('timed_out', 'Timed Out'), ('budget_exhausted', 'Budget Exhausted'), ('too_many_attempts', 'Too Many Attempts')], null=True)),
                ('failure_detail', models.TextField(db_default='', default='')),
            ],
            options={
                'db_table': 'runs',
                'ordering': ('number',),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Step',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('client_id', models.UUIDField(null=True)),
                ('revision', models.IntegerField(db_default=1, default=1)),
                ('number', models.IntegerField(db_default=1, default=1)),
                ('capability', models.TextField(choices=[('execute', 'execute'), ('plan', 'plan'), ('validate', 'validate')])),
                ('depends_on', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), db_default=[], default=list, size=None)),
                ('state', models.TextField(choices=[('ready', 'Ready'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], db_default='ready', default='ready')),
                ('rank', models.IntegerField()),
                ('request', models.BinaryField(null=True)),
                ('tries', models.IntegerField(db_default=0, default=0)),
                ('leases_lost', models.IntegerField(db_default=0, default=0)),
                ('wake_at', models.DateTimeField(null=True)),
                ('waits_for', models.TextField(choices=[('arm', 'an arm'), ('room', 'room at an arm'), ('budget', 'the budget of the day'), ('release', 'its release'), ('resume', 'the end of the pause')], null=True)),
                ('waits_at', models.TextField(db_default='', default='')),
                ('parked_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ended_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'steps',
                'ordering': ('revision', 'number'),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Worker',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('machine', models.TextField()),
                ('process', models.IntegerField()),
                ('version', models.TextField()),
                ('concurrency', models.IntegerField()),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ended_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'workers',
                'ordering': ('-started_at',),
                'default_permissions': ('view',),
            },
        ),
        migrations.AddField(
            model_name='action',
            name='worked_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddConstraint(
            model_name='arm',
            constraint=models.CheckConstraint(condition=models.Q(('name__regex', '^[a-z][a-z0-9-]{0,39}$')), name='arms_name_is_plain'),
        ),
        migrations.AddConstraint(
            model_name='arm',
            constraint=models.CheckConstraint(condition=models.Q(('protocol__in', ['octollm', 'openai'])), name='arms_protocol_known'),
        ),
        migrations.AddConstraint(
            model_name='arm',
            constraint=models.CheckConstraint(condition=models.Q(('capabilities__contained_by', ['execute', 'plan', 'validate'])), name='arms_capabilities_known'),
        ),
        migrations.AddConstraint(
            model_name='arm',
            constraint=models.CheckConstraint(condition=models.Q(('health__in', ['unknown', 'healthy', 'degraded', 'down', 'misconfigured'])), name='arms_health_known'),
        ),
        migrations.AddConstraint(
            model_name='arm',
            constraint=models.CheckConstraint(condition=models.Q(('room__range', (1, 1000))), name='arms_room_in_range'),
        ),
        migrations.AddConstraint(
            model_name='arm',
            constraint=models.CheckConstraint(condition=models.Q(('timeout_seconds__range', (1, 300))), name='arms_timeout_in_range'),
        ),
        migrations.AddConstraint(
            model_name='arm',
            constraint=models.CheckConstraint(condition=models.Q(('usd_per_million_input__gte', 0), ('usd_per_million_output__gte', 0)), name='arms_prices_not_negative'),
        ),
        migrations.AddField(
            model_name='call',
            name='arm',
            field=models.ForeignKey(db_column='arm', db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='calls', to='tasks.arm'),
        ),
        migrations.AddField(
            model_name='call',
            name='attempt',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='calls', to='tasks.attempt'),
        ),
        migrations.AddConstraint(
            model_name='count',
            constraint=models.UniqueConstraint(fields=('name', 'labels', 'shard'), name='counts_part_once'),
        ),
        migrations.AddConstraint(
            model_name='pause',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('ended_at',), name='pauses_one_at_a_time', nulls_distinct=False),
        ),
        migrations.AddField(
            model_name='run',
            name='task',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='tasks.task'),
        ),
        migrations.AddField(
            model_name='budget',
            name='run',
            field=models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='budget', to='tasks.run'),
        ),
        migrations.AddField(
            model_name='step',
            name='arm',
            field=models.ForeignKey(db_column='arm', db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='tasks.arm'),
        ),
        migrations.AddField(
            model_name='step',
            name='run',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='steps', to='tasks.run'),
        ),
        migrations.AddField(
            model_name='step',
            name='task',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='steps', to='tasks.task'),
        ),
        migrations.AddField(
            model_name='call',
            name='step',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='calls', to='tasks.step'),
        ),
        migrations.AddField(
            model_name='attempt',
            name='step',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='attempts', to='tasks.step'),
        ),
        migrations.AddIndex(
            model_name='worker',
            index=models.Index(condition=models.Q(('ended_at__isnull', True)), fields=['seen_at'], name='idx_workers_seen_at'),
        ),
        migrations.AddField(
            model_name='attempt',
            name='worker',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='attempts', to='tasks.worker'),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(condition=models.Q(('ended_at__isnull', True)), fields=['ends_at'], name='idx_runs_ends_at'),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(condition=models.Q(('failure_code__isnull', False)), fields=['ended_at'], include=('failure_code',), name='idx_runs_failed'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.UniqueConstraint(fields=('task', 'number'), name='runs_number_once'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('task',), name='runs_one_open'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(('number__gte', 1)), name='runs_number_positive'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(('failure_code__isnull', True), models.Q(('ended_at__isnull', False), ('failure_code__in', ['arm_failed', 'output_refused', 'answer_unscreened', 'outcome_unknown', 'timed_out', 'budget_exhausted', 'too_many_attempts'])), _connector='OR'), name='runs_failure_known'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ends_at__isnull', True), ('started_at__isnull', True)), models.Q(('ends_at__isnull', False), ('started_at__isnull', False)), _connector='OR'), name='runs_time_known'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('day__isnull', True), ('max_cost_usd__isnull', False), ('max_tokens__isnull', False), ('run__isnull', False)), models.Q(('day__isnull', False), ('max_cost_usd__isnull', True), ('max_tokens__isnull', True), ('run__isnull', True)), _connector='OR'), name='budgets_of_a_run_or_a_day'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('reserved_tokens__gte', 0), ('reserved_usd__gte', 0), ('spent_seconds__gte', 0), ('spent_tokens__gte', 0), ('spent_usd__gte', 0)), name='budgets_not_negative'),
        ),
        migrations.AddIndex(
            model_name='step',
            index=models.Index(fields=['task'], name='idx_steps_task'),
        ),
        migrations.AddIndex(
            model_name='step',
            index=models.Index(condition=models.Q(('wake_at__isnull', False)), fields=['wake_at'], name='idx_steps_wake_at'),
        ),
        migrations.AddIndex(
            model_name='step',
            index=models.Index(condition=models.Q(('waits_for__isnull', False)), fields=['waits_for', 'capability', 'waits_at', '-rank'], name='idx_steps_parked'),
        ),
        migrations.AddIndex(
            model_name='step',
            index=models.Index(condition=models.Q(('waits_for__isnull', False)), fields=['waits_for', 'client_id', '-rank'], name='idx_steps_parked_client'),
        ),
        migrations.AddIndex(
            model_name='step',
            index=models.Index(condition=models.Q(('state', 'ready'), ('waits_for__isnull', True), ('wake_at__isnull', True)), fields=['id'], name='idx_steps_ready'),
        ),
        migrations.AddIndex(
            model_name='step',
            index=models.Index(condition=models.Q(('state', 'running')), fields=['id'], name='idx_steps_running'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.UniqueConstraint(fields=('run', 'revision', 'number'), name='steps_number_once'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['ready', 'running', 'done', 'failed', 'cancelled'])), name='steps_state_known'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('parked_at__isnull', True), ('waits_for__isnull', True)), models.Q(('parked_at__isnull', False), ('state', 'ready'), ('waits_for__in', ['arm', 'room', 'budget', 'release', 'resume']), ('waits_for__isnull', False), ('wake_at__isnull', True)), _connector='OR'), name='steps_parked_for_something'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('wake_at__isnull', True), ('state', 'ready'), _connector='OR'), name='steps_only_ready_ones_wait'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('state__in', ('ready', 'running'))), models.Q(('ended_at__isnull', False), ('request__isnull', True), ('state__in', ('done', 'failed', 'cancelled'))), _connector='OR'), name='steps_ended_when_final'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('leases_lost__gte', 0), ('number__gte', 1), ('revision__gte', 1), ('tries__gte', 0)), name='steps_numbers_not_negative'),
        ),
        migrations.AddIndex(
            model_name='call',
            index=models.Index(condition=models.Q(('ended_at__isnull', True)), fields=['arm', 'client_id'], name='idx_calls_open'),
        ),
        migrations.AddIndex(
            model_name='call',
            index=models.Index(fields=['arm', 'started_at'], include=('outcome', 'cost_usd'), name='idx_calls_arm'),
        ),
        migrations.AddConstraint(
            model_name='call',
            constraint=models.UniqueConstraint(fields=('step', 'number'), name='calls_number_once'),
        ),
        migrations.AddConstraint(
            model_name='call',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cost_usd__isnull', True), ('ended_at__isnull', True), ('outcome__isnull', True), ('tokens__isnull', True)), models.Q(('cost_usd__gte', 0), ('cost_usd__isnull', False), ('ended_at__gte', models.F('started_at')), ('ended_at__isnull', False), ('outcome__in', ['succeeded', 'failed', 'refused', 'misconfigured', 'not_sent', 'unknown']), ('outcome__isnull', False), ('tokens__gte', 0), ('tokens__isnull', False)), _connector='OR'), name='calls_ended_with_an_outcome'),
        ),
        migrations.AddConstraint(
            model_name='call',
            constraint=models.CheckConstraint(condition=models.Q(('reserved_tokens__gte', 0), ('reserved_usd__gte', 0)), name='calls_reserve_nothing_negative'),
        ),
        migrations.AddIndex(
            model_name='attempt',
            index=models.Index(condition=models.Q(('ended_at__isnull', True)), fields=['worker'], name='idx_attempts_open'),
        ),
        migrations.AddConstraint(
            model_name='attempt',
            constraint=models.UniqueConstraint(fields=('step', 'number'), name='attempts_number_once'),
        ),
        migrations.AddConstraint(
            model_name='attempt',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('step',), name='attempts_one_live'),
        ),
        migrations.AddConstraint(
            model_name='attempt',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('outcome__isnull', True)), models.Q(('ended_at__isnull', False), ('outcome__in', ['done', 'failed', 'retried', 'parked', 'lost', 'cancelled']), ('outcome__isnull', False)), _connector='OR'), name='attempts_ended_with_an_outcome'),
        ),
    ]
