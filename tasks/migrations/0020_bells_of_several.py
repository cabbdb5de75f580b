from django.db import migrations

# Of several jobs of one statement, each sees the others. The first one announces all of them.
NOTIFY_OF_FIRST = """
CREATE OR REPLACE FUNCTION notify_of_first_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM procrastinate_jobs
        WHERE status = 'todo' AND queue_name = NEW.queue_name AND id < NEW.id
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
"""


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0019_plans'),
    ]

    operations = [
        # Backwards, the function may stay: it only announces more.
        migrations.RunSQL(NOTIFY_OF_FIRST, migrations.RunSQL.noop),
    ]
