from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0016_jobs'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='action',
            name='task_actions_verb_known',
        ),
        migrations.AddField(
            model_name='action',
            name='includes_unknown',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name='action',
            name='verb',
            field=models.TextField(choices=[('cancel', 'Cancel'), ('requeue', 'Requeue'), ('release', 'Release'), ('retry_now', 'Retry now'), ('priority_low', 'Change priority to low'), ('priority_medium', 'Change priority to medium'), ('priority_high', 'Change priority to high'), ('priority_critical', 'Change priority to critical')]),
        ),
        migrations.AddConstraint(
            model_name='action',
            constraint=models.CheckConstraint(condition=models.Q(('verb__in', ['cancel', 'requeue', 'release', 'retry_now', 'priority_low', 'priority_medium', 'priority_high', 'priority_critical'])), name='task_actions_verb_known'),
        ),
    ]
