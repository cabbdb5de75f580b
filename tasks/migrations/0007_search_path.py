from django.db import migrations

# pg_dump empties the search path of the session that restores, and a role may have one of its own:
# a function that finds its tables by it would find none, or others.
FIX_SEARCH_PATH = """
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'refuse_to_change_task_events', 'mark_tasks_with_result', 'unmark_tasks_without_result'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END
$$;
"""
LEAVE_SEARCH_PATH = """
ALTER FUNCTION refuse_to_change_task_events() RESET search_path;
ALTER FUNCTION mark_tasks_with_result() RESET search_path;
ALTER FUNCTION unmark_tasks_without_result() RESET search_path;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0006_has_result'),
    ]

    operations = [
        migrations.RunSQL(FIX_SEARCH_PATH, LEAVE_SEARCH_PATH),
    ]
