from django.contrib.auth.management import create_permissions
from django.db import migrations

# Finished jobs are deleted at once, so the table is short and always new.
JOBS_ARE_SHORT_LIVED = """
ALTER TABLE procrastinate_jobs SET (
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000
);
-- Space in each page for the new versions of rows that change all the time.
ALTER TABLE counts SET (fillfactor = 20);
ALTER TABLE arms SET (fillfactor = 50);
ALTER TABLE budgets SET (fillfactor = 70);
"""
# Bells need no history: our own tables have one. It would cost each submission a row and each job two
# more. Disabled and not dropped, so that migrations of procrastinate find the triggers.
NO_HISTORY = """
ALTER TABLE procrastinate_jobs DISABLE TRIGGER procrastinate_trigger_status_events_insert_v1;
ALTER TABLE procrastinate_jobs DISABLE TRIGGER procrastinate_trigger_status_events_update_v1;
"""
HISTORY = NO_HISTORY.replace("DISABLE", "ENABLE")
# A transaction with a NOTIFY holds a lock of the whole server until its commit is on disk, so commits
# would wait for one another. While other jobs wait, workers are fetching anyway and need no
# notification.
NOTIFY_FIRST = """
ALTER TABLE procrastinate_jobs DISABLE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1;
CREATE FUNCTION notify_of_first_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM procrastinate_jobs
        WHERE status = 'todo' AND queue_name = NEW.queue_name AND id <> NEW.id
    ) THEN
        PERFORM pg_notify(
            'procrastinate_queue_v1#' || NEW.queue_name,
            json_build_object('type', 'job_inserted', 'job_id', NEW.id)::text
        );
    END IF;
    RETURN NULL;
END
$$;
DO $$ BEGIN
    EXECUTE format(
        'ALTER FUNCTION notify_of_first_job() SET search_path = %I, pg_temp', current_schema()
    );
END $$;
CREATE TRIGGER jobs_notify_of_first AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN (NEW.status = 'todo') EXECUTE FUNCTION notify_of_first_job();
"""
NOTIFY_ALWAYS = """
DROP TRIGGER jobs_notify_of_first ON procrastinate_jobs;
DROP FUNCTION notify_of_first_job();
ALTER TABLE procrastinate_jobs ENABLE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1;
"""
# pg_dump loads rows with an empty search path, and fires these triggers.
SEARCH_PATHS = """
DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN
        SELECT oid FROM pg_proc
        WHERE proname LIKE 'procrastinate\\_%' AND pronamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I', function, current_schema());
    END LOOP;
END
$$;
"""
# What was submitted before there were workers is carried out only if staff release it: nobody wants
# last month's tasks to be carried out by surprise.
PARK = """
WITH run AS (
    INSERT INTO runs (task_id, number, pinned_arm)
    SELECT id, 1, assigned_arm FROM tasks
    WHERE status IN ('pending', 'processing')
        AND NOT EXISTS (SELECT 1 FROM runs WHERE task_id = tasks.id)
    RETURNING id, task_id
), budget AS (
    INSERT INTO budgets (run_id, max_tokens, max_cost_usd)
    SELECT run.id, max_tokens, max_cost_usd FROM run JOIN tasks ON tasks.id = task_id
)
INSERT INTO steps (
    id, run_id, task_id, client_id, capability, rank, state, waits_for, waits_at, parked_at
)
SELECT gen_random_uuid(), run.id, tasks.id, client_id, 'execute',
    CASE
        WHEN priority = 'low' THEN -3600
        WHEN client_id IS NULL THEN 0
        WHEN priority = 'critical' THEN 86400
        WHEN priority = 'high' THEN 3600
        ELSE 0
    END - trunc(extract(epoch FROM created_at - '2026-01-01Z'))::integer,
    'ready', 'release', coalesce(assigned_arm, ''), clock_timestamp()
FROM run JOIN tasks ON tasks.id = task_id
"""


def give_to_roles(apps, schema_editor):
    # Django makes permissions only after the last migration.
    app = apps.get_app_config("tasks")
    app.models_module = True
    create_permissions(app, apps=apps, verbosity=0)
    app.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="tasks"
    )
    given = {
        "Operator": ["view_arm", "view_worker"],
        "Admin": ["view_arm", "manage_arms", "view_worker"],
    }
    # Staff may have renamed or deleted the roles.
    for role in apps.get_model("auth", "Group").objects.filter(name__in=given):
        role.permissions.add(*permissions.filter(codename__in=given[role.name]))


class Migration(migrations.Migration):

    dependencies = [
        ('procrastinate', '0041_post_retry_failed_job'),
        ('tasks', '0015_execution'),
    ]

    operations = [
        migrations.RunSQL(JOBS_ARE_SHORT_LIVED, migrations.RunSQL.noop),
        migrations.RunSQL(NO_HISTORY, HISTORY),
        migrations.RunSQL(NOTIFY_FIRST, NOTIFY_ALWAYS),
        migrations.RunSQL(SEARCH_PATHS, migrations.RunSQL.noop),
        migrations.RunSQL(PARK, migrations.RunSQL.noop),
        migrations.RunPython(give_to_roles, migrations.RunPython.noop),
    ]
