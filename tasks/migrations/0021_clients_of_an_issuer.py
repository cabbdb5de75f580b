import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0020_bells_of_several'),
    ]

    operations = [
        # While this waits for the table, requests with a key queue up behind it, so it gives up soon.
        # It can be run again.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.RemoveConstraint(
            model_name='client',
            name='clients_name_once',
        ),
        migrations.AddField(
            model_name='client',
            name='issuer',
            field=models.TextField(db_default='', default=''),
        ),
        migrations.AddField(
            model_name='client',
            name='subject',
            field=models.TextField(db_default='', default=''),
        ),
        migrations.AddField(
            model_name='client',
            name='token_used_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddConstraint(
            model_name='client',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('name'), condition=models.Q(('issuer', '')), name='clients_name_once'),
        ),
        migrations.AddConstraint(
            model_name='client',
            constraint=models.UniqueConstraint(condition=models.Q(('issuer', ''), _negated=True), fields=('issuer', 'subject'), name='clients_subject_once'),
        ),
        migrations.AddConstraint(
            model_name='client',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('issuer', ''), ('subject', '')), models.Q(models.Q(('issuer', ''), _negated=True), models.Q(('subject', ''), _negated=True)), _connector='OR'), name='clients_subject_of_issuer'),
        ),
    ]
