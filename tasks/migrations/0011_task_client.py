import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0010_clients'),
    ]

    operations = [
        # While this waits for the table, inserts queue up behind it, so it gives up soon. It can be
        # run again.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        # Nullable and without a default, so that no row is rewritten or checked.
        migrations.AddField(
            model_name='task',
            name='client',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='tasks', to='tasks.client'),
        ),
    ]
