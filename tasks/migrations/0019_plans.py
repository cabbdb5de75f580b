from django.contrib.auth.management import create_permissions
from django.db import migrations, models

# A plan never changes once it is stored. PostgreSQL calls this only for statements that set one of
# these columns.
DEFINED_FOR_EVER = '''
    CREATE FUNCTION refuse_another_definition() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        RAISE EXCEPTION 'What defines a step cannot be changed.' USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER steps_are_defined_for_ever
    BEFORE UPDATE OF run_id, task_id, role, revision, number, action, acceptance_criteria, capability,
        pinned_arm, depends_on, estimated_seconds, faults
    ON steps FOR EACH ROW EXECUTE FUNCTION refuse_another_definition();
'''
CHANGEABLE = '''
    DROP TRIGGER steps_are_defined_for_ever ON steps;
    DROP FUNCTION refuse_another_definition();
'''
# So far, every run has one step.
PARKED_RUNS = '''
    UPDATE runs SET parked_at = steps.parked_at FROM steps
    WHERE steps.run_id = runs.id AND runs.ended_at IS NULL AND runs.started_at IS NOT NULL
        AND steps.parked_at IS NOT NULL
'''


def give_to_roles(apps, schema_editor):
    # Django makes permissions only after the last migration.
    app = apps.get_app_config("tasks")
    app.models_module = True
    create_permissions(app, apps=apps, verbosity=0)
    app.models_module = None
    permission = apps.get_model("auth", "Permission").objects.get(
        content_type__app_label="tasks", codename="decide_task"
    )
    # Staff may have renamed or deleted the roles.
    for role in apps.get_model("auth", "Group").objects.filter(name__in=["Operator", "Admin"]):
        role.permissions.add(permission)


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0018_more_event_kinds'),
    ]

    operations = [
        # While this waits for a table, inserts queue up behind it, so it gives up soon. It can be run
        # again.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AlterModelOptions(
            name='task',
            options={'default_permissions': ('view',), 'ordering': ('-created_at',), 'permissions': (('view_task_content', 'Can view goal, context and results'), ('operate_task', 'Can cancel, requeue and change the priority'), ('decide_task', 'Can accept and reject results that wait for a decision'))},
        ),
        migrations.RemoveConstraint(
            model_name='run',
            name='runs_failure_known',
        ),
        migrations.RemoveConstraint(
            model_name='step',
            name='steps_state_known',
        ),
        migrations.RemoveConstraint(
            model_name='step',
            name='steps_parked_for_something',
        ),
        migrations.RemoveConstraint(
            model_name='step',
            name='steps_ended_when_final',
        ),
        migrations.RemoveConstraint(
            model_name='step',
            name='steps_numbers_not_negative',
        ),
        migrations.AddField(
            model_name='run',
            name='parked_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='run',
            name='verdicts',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='step',
            name='acceptance_criteria',
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='step',
            name='action',
            field=models.TextField(db_default='', default=''),
        ),
        migrations.AddField(
            model_name='step',
            name='answer',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='step',
            name='confidence',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='step',
            name='estimated_seconds',
            field=models.FloatField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='step',
            name='failure_code',
            field=models.TextField(choices=[('arm_failed', 'Arm Failed'), ('output_refused', 'Output Refused'), ('answer_unscreened', 'Answer Unscreened'), ('outcome_unknown', 'Outcome Unknown'), ('timed_out', 'Timed Out'), ('budget_exhausted', 'Budget Exhausted'), ('too_many_attempts', 'Too Many Attempts'), ('plan_invalid', 'Plan Invalid'), ('criteria_not_met', 'Criteria Not Met'), ('decision_expired', 'Decision Expired')], null=True),
        ),
        migrations.AddField(
            model_name='step',
            name='faults',
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='step',
            name='pinned_arm',
            field=models.TextField(null=True),
        ),
        migrations.AddField(
            model_name='step',
            name='role',
            field=models.TextField(choices=[('execute', 'step'), ('plan', 'plan'), ('judge', 'check'), ('repair', 'repair'), ('decide', 'decision')], db_default='execute', default='execute'),
        ),
        migrations.AddField(
            model_name='step',
            name='verdict',
            field=models.TextField(choices=[('safe', 'Safe'), ('flagged', 'Flagged'), ('unscreened', 'Unscreened')], null=True),
        ),
        migrations.AlterField(
            model_name='run',
            name='failure_code',
            field=models.TextField(choices=[('arm_failed', 'Arm Failed'), ('output_refused', 'Output Refused'), ('answer_unscreened', 'Answer Unscreened'), ('outcome_unknown', 'Outcome Unknown'), ('timed_out', 'Timed Out'), ('budget_exhausted', 'Budget Exhausted'), ('too_many_attempts', 'Too Many Attempts'), ('plan_invalid', 'Plan Invalid'), ('criteria_not_met', 'Criteria Not Met'), ('decision_expired', 'Decision Expired')], null=True),
        ),
        migrations.AlterField(
            model_name='step',
            name='state',
            field=models.TextField(choices=[('waiting', 'Waiting'), ('ready', 'Ready'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], db_default='ready', default='ready'),
        ),
        migrations.AlterField(
            model_name='step',
            name='waits_for',
            field=models.TextField(choices=[('arm', 'an arm'), ('room', 'room at an arm'), ('budget', 'the budget of the day'), ('release', 'its release'), ('resume', 'the end of the pause'), ('decision', 'a decision')], null=True),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(('failure_code__isnull', True), models.Q(('ended_at__isnull', False), ('failure_code__in', ['arm_failed', 'output_refused', 'answer_unscreened', 'outcome_unknown', 'timed_out', 'budget_exhausted', 'too_many_attempts', 'plan_invalid', 'criteria_not_met', 'decision_expired'])), _connector='OR'), name='runs_failure_known'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['waiting', 'ready', 'running', 'done', 'failed', 'cancelled'])), name='steps_state_known'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('role__in', ['execute', 'plan', 'judge', 'repair', 'decide'])), name='steps_role_known'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('waits_for__isnull', True), models.Q(('role', 'decide'), ('waits_for', 'decision')), models.Q(models.Q(('waits_for', 'decision'), _negated=True), models.Q(('role', 'decide'), _negated=True)), _connector='OR'), name='steps_decisions_wait_for_staff'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('answer__isnull', True), ('state', 'done'), _connector='OR'), name='steps_done_with_an_answer'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('failure_code__isnull', True), models.Q(('failure_code__in', ['arm_failed', 'output_refused', 'answer_unscreened', 'outcome_unknown', 'timed_out', 'budget_exhausted', 'too_many_attempts', 'plan_invalid', 'criteria_not_met', 'decision_expired']), ('state', 'failed')), _connector='OR'), name='steps_failure_known'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('confidence__isnull', True), ('confidence__range', (0, 1)), _connector='OR'), name='steps_confidence_in_range'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('parked_at__isnull', True), ('waits_for__isnull', True)), models.Q(('parked_at__isnull', False), ('state', 'ready'), ('waits_for__in', ['arm', 'room', 'budget', 'release', 'resume', 'decision']), ('waits_for__isnull', False), ('wake_at__isnull', True)), _connector='OR'), name='steps_parked_for_something'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('state__in', ('waiting', 'ready', 'running'))), models.Q(('ended_at__isnull', False), ('request__isnull', True), ('state__in', ('done', 'failed', 'cancelled'))), _connector='OR'), name='steps_ended_when_final'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('estimated_seconds__gte', 0), ('leases_lost__gte', 0), ('number__gte', 0), ('revision__gte', 1), ('tries__gte', 0)), name='steps_numbers_not_negative'),
        ),
        migrations.RunSQL(DEFINED_FOR_EVER, CHANGEABLE),
        migrations.RunSQL(PARKED_RUNS, migrations.RunSQL.noop),
        migrations.RunPython(give_to_roles, migrations.RunPython.noop),
    ]
