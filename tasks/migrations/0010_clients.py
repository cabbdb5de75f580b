"""Clients with their keys, limits and idempotency keys; the clients of tasks; sign-ins."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.db.models.lookups
import uuid
from django.db import migrations, models


# Each request updates a row: half-empty pages keep those updates on their page, and nothing is worth
# writing to the log of the database. Django would add an index for searches by the beginning of a
# key.
CREATE_RATE_LIMITS = """
CREATE UNLOGGED TABLE rate_limits (
    key text PRIMARY KEY,
    arrival_at timestamptz NOT NULL,
    spacing interval NOT NULL,
    is_allowed boolean NOT NULL
) WITH (fillfactor = 50)
"""
# For each statement, as for the events of tasks. A search path of its own, as for every trigger
# function, so that the caller's is irrelevant.
REFUSE_CHANGES = """
CREATE FUNCTION refuse_to_change_client_events() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'events of clients are never changed or deleted: % refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER client_events_refuse_changes BEFORE UPDATE OR DELETE ON client_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_client_events();
CREATE TRIGGER client_events_refuse_truncate BEFORE TRUNCATE ON client_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_client_events();
CREATE FUNCTION refuse_to_delete_clients() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'clients are never deleted, since tasks name them: disable them instead'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER clients_refuse_delete BEFORE DELETE ON clients
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_delete_clients();
"""
ALLOW_CHANGES = """
DROP TRIGGER clients_refuse_delete ON clients;
DROP FUNCTION refuse_to_delete_clients();
DROP TRIGGER client_events_refuse_truncate ON client_events;
DROP TRIGGER client_events_refuse_changes ON client_events;
DROP FUNCTION refuse_to_change_client_events();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0009_requeue_label'),
    ]

    operations = [
        # The foreign key to `tasks` waits for that table, and inserts queue up behind it. So it gives
        # up soon. It can be run again.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='Client',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('name', models.TextField()),
                ('rate_limit', models.IntegerField(blank=True, null=True)),
                ('max_pending', models.IntegerField(blank=True, null=True)),
                ('disabled_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'clients',
                'ordering': ('name',),
                'permissions': (('manage_client', 'Can see and change clients, their keys and limits'),),
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(django.db.models.functions.text.Lower('name'), name='clients_name_once'), models.CheckConstraint(condition=models.Q(('rate_limit__isnull', True), ('rate_limit__range', (1, 1000000)), _connector='OR'), name='clients_rate_limit_in_range'), models.CheckConstraint(condition=models.Q(('max_pending__isnull', True), ('max_pending__range', (0, 100000)), _connector='OR'), name='clients_max_pending_in_range')],
            },
        ),
        migrations.CreateModel(
            name='ClientEvent',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('client', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='tasks.client')),
                ('kind', models.TextField(choices=[('added', 'added'), ('key_made', 'key made'), ('key_revoked', 'key revoked'), ('limits', 'limits changed'), ('disabled', 'disabled'), ('enabled', 'enabled')])),
                ('actor', models.TextField(default='')),
                ('reason', models.TextField(default='')),
                ('data', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'client_events',
                'ordering': ('id',),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('pk', models.CompositePrimaryKey('client_id', 'key_hmac', blank=True, editable=False, primary_key=True, serialize=False)),
                ('client', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tasks.client')),
                ('key_hmac', models.BinaryField()),
                ('body_hmac', models.BinaryField()),
                ('task', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tasks.task')),
                ('priority', models.TextField(default='')),
                ('redacted_types', models.JSONField(default=list)),
                ('refused_for', models.JSONField(null=True)),
                ('reason', models.TextField(default='')),
                ('expires_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'idempotency_keys',
                'default_permissions': (),
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(CREATE_RATE_LIMITS, "DROP TABLE rate_limits"),
            ],
            state_operations=[
                migrations.CreateModel(
                    name='RateLimit',
                    fields=[
                        ('key', models.TextField(primary_key=True, serialize=False)),
                        ('arrival_at', models.DateTimeField()),
                        ('spacing', models.DurationField()),
                        ('is_allowed', models.BooleanField()),
                    ],
                    options={
                        'db_table': 'rate_limits',
                        'default_permissions': (),
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name='SignIn',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('account', models.TextField(default='')),
                ('outcome', models.TextField(choices=[('succeeded', 'succeeded'), ('failed', 'failed')])),
                ('client_address', models.TextField(default='')),
                ('request_id', models.TextField(default='')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'verbose_name': 'sign-in',
                'db_table': 'sign_ins',
                'ordering': ('-id',),
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('prefix', models.TextField()),
                ('digest', models.BinaryField()),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(choices=[('task:submit', 'submit tasks'), ('task:read', 'list tasks and read them'), ('task:cancel', 'cancel tasks'), ('gate:dry_run', 'have texts screened without storing a task')]), size=None)),
                ('expires_at', models.DateTimeField(null=True)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('last_used_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='keys', to='tasks.client')),
            ],
            options={
                'db_table': 'api_keys',
                'ordering': ('created_at',),
                'default_permissions': (),
            },
        ),
        migrations.AddIndex(
            model_name='signin',
            index=models.Index(fields=['created_at'], name='idx_sign_ins_created_at'),
        ),
        migrations.AddIndex(
            model_name='signin',
            index=models.Index(fields=['outcome', 'created_at'], name='idx_sign_ins_outcome'),
        ),
        migrations.AddConstraint(
            model_name='signin',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['succeeded', 'failed'])), name='sign_ins_outcome_known'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.UniqueConstraint(fields=('digest',), name='api_keys_digest_once'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.UniqueConstraint(fields=('prefix',), name='api_keys_prefix_once'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=django.db.models.lookups.Exact(django.db.models.functions.text.Length('digest'), 32), name='api_keys_digest_is_sha256'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=django.db.models.lookups.Exact(django.db.models.functions.text.Length('prefix'), 8), name='api_keys_prefix_is_whole'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('scopes__contained_by', ['task:submit', 'task:read', 'task:cancel', 'gate:dry_run'])), name='api_keys_scopes_known'),
        ),
        migrations.AddIndex(
            model_name='clientevent',
            index=models.Index(fields=['client', 'id'], name='idx_client_events_client'),
        ),
        migrations.AddConstraint(
            model_name='clientevent',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['added', 'key_made', 'key_revoked', 'limits', 'disabled', 'enabled'])), name='client_events_kind_known'),
        ),
        migrations.AddIndex(
            model_name='idempotencykey',
            index=models.Index(fields=['expires_at'], name='idx_idempotency_keys_expires'),
        ),
        migrations.AddConstraint(
            model_name='idempotencykey',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('priority__gt', ''), ('reason', ''), ('refused_for__isnull', True), ('task__isnull', False)), models.Q(('priority', ''), ('refused_for__isnull', False), ('task__isnull', True)), _connector='OR'), name='idempotency_keys_one_answer'),
        ),
        migrations.RunSQL(REFUSE_CHANGES, ALLOW_CHANGES),
    ]
